//! What a request looks like in a trace.
//!
//! `operation.id` is the id of the trace. Each step is a part of it; the root is reported with the outcome, and lasts
//! from `operation.startedAt` until then.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span as _, Status as SpanStatus};
use tracing::Span;
use uuid::Uuid;

use crate::api::{OperationRecord, Outcome, Reason, Status};
use crate::cde::model::{CallId, Failure};
use crate::runtime::telemetry::{self, fail};

use super::Managed;
use super::pass::{Interrupted, Pass};

impl<O: Managed> Pass<'_, O> {
    /// Starts the span of a step.
    pub(super) fn step(&self, name: &str, id: &CallId) -> Span {
        let Some(trace) = trace_id(&id.operation) else { return Span::none() };
        let attempt = KeyValue::new("cde.attempt", i64::from(id.attempt));
        telemetry::step(trace, name, self.attributes(&id.operation).into_iter().chain([attempt]))
    }

    /// Starts the span of the whole request, which `status` finishes.
    pub(super) fn whole(&self, status: &Status<O::Result>) -> Option<BoxedSpan> {
        let operation = status.operation.as_ref()?;
        let attributes = self.attributes(&operation.id);
        let mut span =
            telemetry::root(trace_id(&operation.id)?, O::KIND, self.begin_of(operation), attributes);
        let reason = status.reason.map(Reason::as_str).unwrap_or_default();
        span.set_attribute(KeyValue::new("cde.attempts", i64::from(operation.attempts)));
        span.set_attribute(KeyValue::new("cde.reason", reason));
        if let Some(outcome) = status.outcome {
            span.set_attribute(KeyValue::new("cde.outcome", outcome.as_str()));
            if matches!(outcome, Outcome::Failed | Outcome::Unknown) {
                let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
                span.set_attribute(KeyValue::new("error.type", reason));
                span.set_status(SpanStatus::error(
                    ready.map_or(String::new(), |ready| ready.message.clone()),
                ));
            }
        }
        Some(span)
    }

    /// Times in a status have whole seconds, and what this pass did first may have come before the first of them.
    fn begin_of(&self, operation: &OperationRecord) -> SystemTime {
        let started = operation.started_at.as_ref().map(|time| SystemTime::from(time.0));
        started.map_or(self.begun, |started| started.min(self.begun))
    }

    fn attributes(&self, operation: &str) -> [KeyValue; 6] {
        [
            KeyValue::new("k8s.namespace.name", self.key.namespace.clone()),
            KeyValue::new("k8s.object.kind", O::KIND),
            KeyValue::new("k8s.object.name", self.key.name.clone()),
            KeyValue::new("k8s.object.uid", self.key.uid.clone()),
            KeyValue::new("cde.connector.id", self.object.wish().connector.to_owned()),
            KeyValue::new("cde.operation.id", operation.to_owned()),
        ]
    }
}

/// Returns the trace of an operation; `None` where its id is not one of ours, of which neither half is zero.
fn trace_id(operation: &str) -> Option<Uuid> {
    Uuid::parse_str(operation).ok().filter(|id| !matches!(id.as_u64_pair(), (0, _) | (_, 0)))
}

/// Notes what came of a call.
pub(super) fn note_answer(span: &Span, answer: Result<(), &Failure>) {
    if let Err(failure) = answer {
        fail(span, failure.word(), &failure.message);
    }
}

/// Notes what came of a write, and passes it on.
pub(super) fn written<T>(span: &Span, result: Result<T, Interrupted>) -> Result<T, Interrupted> {
    if let Err(interrupted) = &result {
        fail(span, interrupted.word(), &interrupted.to_string());
    }
    result
}
