//! What a request looks like in a trace.
//!
//! `operation.id` is the name of the trace, so all attempts of a request are one trace, whoever makes them and however
//! long it takes. Each step that goes out is a part of it; the root is told with the outcome, and lasts from
//! `operation.startedAt` until then.

use std::time::SystemTime;

use uuid::Uuid;

use crate::api::{OperationRecord, Outcome, Status};
use crate::cde::model::{CallId, Failure};
use crate::runtime::traces::Span;

use super::Managed;
use super::pass::{Interrupted, Pass};

impl<O: Managed> Pass<'_, O> {
    /// The span of a step, which ends when it is dropped.
    pub(super) fn step(&self, name: &'static str, id: &CallId) -> Span {
        let traces = &self.context.shared.traces;
        let Some(trace) = traces.are_on().then(|| trace(&id.operation)).flatten() else {
            return Span::default();
        };
        let mut span = traces.part(trace, name);
        self.describe(&mut span, &id.operation);
        span.set("cde.attempt", i64::from(id.attempt));
        span
    }

    /// The span of the whole request, which `status` finishes.
    pub(super) fn whole(&self, status: &Status<O::Result>) -> Span {
        let traces = &self.context.shared.traces;
        let operation = status.operation.as_ref().filter(|_| traces.are_on());
        let Some((operation, trace)) = operation.and_then(|it| Some((it, trace(&it.id)?))) else {
            return Span::default();
        };
        let mut span = traces.root(trace, O::KIND, self.begin_of(operation));
        self.describe(&mut span, &operation.id);
        span.set("cde.attempts", i64::from(operation.attempts));
        let reason = status.reason.map(crate::api::Reason::as_str).unwrap_or_default();
        span.set("cde.reason", reason);
        if let Some(outcome) = status.outcome {
            span.set("cde.outcome", outcome.as_str());
            if matches!(outcome, Outcome::Failed | Outcome::Unknown) {
                let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
                span.fail(reason, ready.map_or("", |ready| ready.message.as_str()));
            }
        }
        span
    }

    /// Times in a status have whole seconds, and what this pass did first may have come before the first of them.
    fn begin_of(&self, operation: &OperationRecord) -> SystemTime {
        let started = operation.started_at.as_ref().map(|time| SystemTime::from(time.0));
        started.map_or(self.begun, |started| started.min(self.begun))
    }

    fn describe(&self, span: &mut Span, operation: &str) {
        span.set("k8s.namespace.name", self.key.namespace.to_string());
        span.set("k8s.object.kind", O::KIND);
        span.set("k8s.object.name", self.key.name.to_string());
        span.set("k8s.object.uid", self.key.uid.to_string());
        span.set("cde.connector.id", self.object.wish().connector.to_owned());
        span.set("cde.operation.id", operation.to_owned());
    }
}

/// The trace of an operation; none where its id is not one of ours, of which either half is zero.
fn trace(operation: &str) -> Option<Uuid> {
    Uuid::parse_str(operation).ok().filter(|id| !matches!(id.as_u64_pair(), (0, _) | (_, 0)))
}

/// Notes what came of a call.
pub(super) fn note_answer(span: &mut Span, answer: Result<(), &Failure>) {
    if let Err(failure) = answer {
        span.fail(failure.word(), &failure.message);
    }
}

/// Ends the span of a write, and passes on what came of it.
pub(super) fn written<T>(mut span: Span, result: Result<T, Interrupted>) -> Result<T, Interrupted> {
    if let Err(interrupted) = &result {
        span.fail(interrupted.word(), &interrupted.to_string());
    }
    result
}
