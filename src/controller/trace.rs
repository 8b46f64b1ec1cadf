//! The trace of a request. Its ID is `operation.id`. Each step is a span of its own, and the root span lasts from
//! `operation.startTime` until the outcome.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span as _, Status as SpanStatus};
use tracing::Span;
use uuid::Uuid;

use crate::api::{Outcome, Reason, Status};
use crate::cde::model::{CallId, Failure};
use crate::runtime::telemetry::{self, fail};

use super::error::ReconcileError;
use super::kind::{Key, Kind};

pub(super) fn step<K: Kind>(name: &str, (key, object): (&Key, &K), id: &CallId) -> Span {
    let Some(trace) = trace_id(&id.operation) else { return Span::none() };
    let attempt = KeyValue::new("cde.attempt", i64::from(id.attempt));
    telemetry::step(trace, name, || {
        attributes(key, object, &id.operation).into_iter().chain([attempt]).collect()
    })
}

/// Returns the root span of a request that `status` finishes, if spans are exported. This process has worked on it since
/// `started`.
pub(super) fn finish<K: Kind>(
    (key, object): (&Key, &K),
    status: &Status<K::Result>,
    started: SystemTime,
) -> Option<BoxedSpan> {
    let operation = status.operation.as_ref()?;
    // `started` may be earlier than the first time in the status, which has whole seconds.
    let started = operation.start_time.as_ref().map_or(started, |time| SystemTime::from(time.0).min(started));
    let attributes = || attributes(key, object, &operation.id);
    let mut span = telemetry::root(trace_id(&operation.id)?, K::KIND, started, attributes)?;
    let reason = status.reason.map(Reason::as_str).unwrap_or_default();
    span.set_attribute(KeyValue::new("cde.attempts", i64::from(operation.attempts)));
    span.set_attribute(KeyValue::new("cde.reason", reason));
    if let Some(outcome) = status.outcome {
        span.set_attribute(KeyValue::new("cde.outcome", outcome.as_str()));
        if matches!(outcome, Outcome::Failed | Outcome::Unknown) {
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            span.set_attribute(KeyValue::new("error.type", reason));
            span.set_status(SpanStatus::error(ready.map_or(String::new(), |ready| ready.message.clone())));
        }
    }
    Some(span)
}

fn attributes<K: Kind>(key: &Key, object: &K, operation: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("k8s.namespace.name", key.namespace.clone()),
        KeyValue::new("k8s.object.kind", K::KIND),
        KeyValue::new("k8s.object.name", key.name.clone()),
        KeyValue::new("k8s.object.uid", key.uid.clone()),
        KeyValue::new("cde.connector.id", object.request_spec().connector.to_string()),
        KeyValue::new("cde.operation.id", operation.to_owned()),
    ]
}

/// Returns the ID of the trace; `None` if `operation` is not an ID of this operator, of which neither half is zero.
fn trace_id(operation: &str) -> Option<Uuid> {
    Uuid::parse_str(operation).ok().filter(|id| !matches!(id.as_u64_pair(), (0, _) | (_, 0)))
}

pub(super) fn note_answer(span: &Span, failure: Option<&Failure>) {
    if let Some(failure) = failure {
        fail(span, failure.word(), &failure.message);
    }
}

/// Notes the failure of a write in its span, and returns the result.
pub(super) fn written<T>(span: &Span, result: Result<T, ReconcileError>) -> Result<T, ReconcileError> {
    if let Err(error) = &result {
        fail(span, error.as_str(), &error.to_string());
    }
    result
}
