//! A span: what something took, and how it went.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor as _};

use super::Outbox;

/// It ends when it is dropped. By default it is none: whatever is told of it is dropped at once.
#[derive(Default)]
pub struct Span(Option<Box<Open>>);

struct Open {
    outbox: Arc<Outbox>,
    data: SpanData,
    /// A clock that is set must not make it longer or shorter.
    since: Instant,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_ref().map(|open| &open.data.name);
        f.debug_tuple("Span").field(&name).finish()
    }
}

impl Span {
    pub(super) fn begin(
        outbox: &Arc<Outbox>,
        (trace, id): (TraceId, SpanId),
        parent: SpanId,
        kind: SpanKind,
        name: Cow<'static, str>,
        begun: SystemTime,
    ) -> Self {
        let data = SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: kind,
            name,
            start_time: begun,
            end_time: begun,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: outbox.scope.clone(),
        };
        let age = SystemTime::now().duration_since(begun).unwrap_or_default();
        let now = Instant::now();
        Self(Some(Box::new(Open {
            outbox: outbox.clone(),
            data,
            since: now.checked_sub(age).unwrap_or(now),
        })))
    }

    /// Whether anybody will see it: what costs something to find out need not be found out for others.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A part of this one that asks another service, and begins now. `name` is not asked for where there is none.
    #[must_use]
    pub fn asks(&self, name: impl FnOnce() -> String) -> Self {
        let Some(open) = &self.0 else { return Self::default() };
        let context = &open.data.span_context;
        let id = (context.trace_id(), draw());
        let begun = SystemTime::now();
        Self::begin(&open.outbox, id, context.span_id(), SpanKind::Client, name().into(), begun)
    }

    /// Notes a fact.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.0 {
            open.data.attributes.push(KeyValue::new(key, value));
        }
    }

    /// It went wrong: `kind` is one of few words, `why` a sentence for people, which may be empty.
    pub fn fail(&mut self, kind: impl Into<Value>, why: &str) {
        self.set("error.type", kind);
        if let Some(open) = &mut self.0 {
            open.data.status = Status::error(why.to_owned());
        }
    }

    /// How another service is told that it is part of this (W3C Trace Context).
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let context = &self.0.as_ref()?.data.span_context;
        Some(format!("00-{}-{}-01", context.trace_id(), context.span_id()))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut open) = self.0.take() {
            let begun = open.data.start_time;
            open.data.end_time = begun.checked_add(open.since.elapsed()).unwrap_or(begun);
            open.outbox.processor.on_end(open.data);
        }
    }
}

/// An id that no other span of the trace has.
pub(super) fn draw() -> SpanId {
    SpanId::from_bytes(rand::random())
}
