//! Record: store a decided status.
//!
//! The status of a wait is written once. The record of a claim and the end of a request must be kept: if the first write
//! fails, it is repeated in the background, where it occupies no worker. The object is not reconciled meanwhile.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::api::{Outcome, Reason, Status};
use crate::cde::model::CallId;
use crate::operation::{event_for, event_for_deleted, may_record, rebase, strip_result};

use super::context::Scope;
use super::error::ReconcileError;
use super::events::about;
use super::kind::{Key, Kind};
use super::status_api::{Unstored, put_status, read_back};
use super::trace::{finish, step, written};

/// First and longest wait between two writes of one record.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

pub(super) struct Record<K: Kind> {
    pub(super) key: Key,
    /// The object that the status was decided on.
    pub(super) base: Arc<K>,
    pub(super) status: Status<K::Result>,
    /// Whether it ends a claim, with or without a call.
    pub(super) of_claim: bool,
    /// Fields that a successful response lacked.
    pub(super) missing_fields: Vec<String>,
    /// When the reconciliation started, for traces.
    pub(super) started: SystemTime,
}

impl<K: Kind> Record<K> {
    /// A status that follows no claim.
    pub(super) fn decided(key: &Key, base: Arc<K>, status: Status<K::Result>, started: SystemTime) -> Self {
        Self { key: key.clone(), base, status, of_claim: false, missing_fields: Vec::new(), started }
    }

    /// A status that ends a claim.
    pub(super) fn of_claim(key: &Key, base: Arc<K>, status: Status<K::Result>, started: SystemTime) -> Self {
        Self { key: key.clone(), base, status, of_claim: true, missing_fields: Vec::new(), started }
    }
}

/// How the reconciliation goes on after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The status is stored, or the object has changed: decide again.
    Continue,
    /// The request is finished, its record is being written in the background, or the object is gone.
    Stop,
}

/// Stores a status.
///
/// # Errors
/// If the API server does not store the status of a wait.
pub(super) async fn record<K: Kind>(
    scope: &Arc<Scope<K>>,
    record: Record<K>,
    id: &CallId,
) -> Result<Recorded, ReconcileError> {
    let span = step("record", (&record.key, record.base.as_ref()), id);
    span.set_attribute("cde.reason", record.status.reason.map(Reason::as_str).unwrap_or_default());
    let stored = store(scope, record).instrument(span.clone()).await;
    written(&span, stored)
}

async fn store<K: Kind>(scope: &Arc<Scope<K>>, mut record: Record<K>) -> Result<Recorded, ReconcileError> {
    let must_be_kept = record.of_claim || record.status.outcome.is_some();
    match write(scope, &record).await {
        Ok(()) if record.status.outcome.is_some() => return Ok(Recorded::Stop),
        Ok(()) => return Ok(Recorded::Continue),
        Err(Unstored::Gone) => {
            deleted(scope, &record);
            return Ok(Recorded::Stop);
        }
        // The decision may be outdated.
        Err(Unstored::Conflict) if !record.of_claim => return refresh(scope, &record).await,
        Err(Unstored::Refused(why) | Unstored::Unclear(why)) if !must_be_kept => {
            return Err(ReconcileError::ApiServer(why));
        }
        Err(unstored) => note_unstored(&mut record, unstored),
    }
    scope.cache.remember(&record.key, |memory| memory.recording = true);
    let background = scope.clone();
    let writing = async move {
        write_with_retry(&background, &mut record).await;
        background.cache.remember(&record.key, |memory| memory.recording = false);
        record.key.wake();
    };
    scope.context.recorders.spawn(writing.in_current_span());
    Ok(Recorded::Stop)
}

async fn refresh<K: Kind>(scope: &Scope<K>, record: &Record<K>) -> Result<Recorded, ReconcileError> {
    match read_back(&scope.context.client, record.base.as_ref()).await? {
        Some(object) => {
            scope.cache.put(&record.key, &object);
            Ok(Recorded::Continue)
        }
        None => Ok(Recorded::Stop),
    }
}

async fn write<K: Kind>(scope: &Scope<K>, record: &Record<K>) -> Result<(), Unstored> {
    let context = &scope.context;
    let object = put_status(&context.client, &context.metrics, record.base.as_ref(), &record.status).await?;
    stored(scope, record, &object);
    Ok(())
}

fn note_unstored<K: Kind>(record: &mut Record<K>, unstored: Unstored) {
    match unstored {
        Unstored::Refused(why) => {
            tracing::error!(
                error = why,
                "the API server rejected the outcome; writing it without the CDE's data"
            );
            record.status = strip_result(&record.status);
        }
        Unstored::Unclear(why) => tracing::warn!(error = why, "the outcome is not stored yet; retrying"),
        Unstored::Conflict | Unstored::Gone => {}
    }
}

/// Reads the object and writes the record until it is stored, or until this process may no longer store it.
async fn write_with_retry<K: Kind>(scope: &Scope<K>, record: &mut Record<K>) {
    let mut wait = RETRY.0;
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
        match read_back(&scope.context.client, record.base.as_ref()).await {
            Ok(None) => return deleted(scope, record),
            Ok(Some(fresh)) if fresh.status() == Some(&record.status) => {
                return stored(scope, record, &fresh);
            }
            Ok(Some(fresh)) if is_unchanged(fresh.as_ref(), record) => {}
            Ok(Some(fresh)) if may_record(record.base.status(), fresh.status(), &record.status) => {
                record.status = rebase(&record.status, fresh.status());
                record.base = fresh;
            }
            Ok(Some(fresh)) => {
                tracing::warn!("another writer has changed the object; dropping the outcome");
                scope.cache.put(&record.key, &fresh);
                return;
            }
            Err(_) => continue,
        }
        match write(scope, record).await {
            Ok(()) => return,
            Err(Unstored::Gone) => return deleted(scope, record),
            Err(unstored) => note_unstored(record, unstored),
        }
    }
}

fn is_unchanged<K: Kind>(fresh: &K, record: &Record<K>) -> bool {
    fresh.meta().resource_version == record.base.meta().resource_version
}

/// Publishes a stored status: Event, metrics, log, trace, cache and queue.
fn stored<K: Kind>(scope: &Scope<K>, record: &Record<K>, object: &Arc<K>) {
    let context = &scope.context;
    let (before, status) = (record.base.status(), &record.status);
    let announced = status.outcome.is_none()
        && status.operation.as_ref().is_some_and(|operation| {
            scope.cache.remember(&record.key, |memory| memory.first_wait(&operation.id)) == Some(false)
        });
    if let Some(event) = event_for(before, status, &record.missing_fields).filter(|_| !announced) {
        tracing::info!(reason = event.reason, "{}", event.note);
        context.events.publish(about(object.as_ref(), event));
    }
    if status.outcome.is_some() && before.is_none_or(|before| before.outcome.is_none()) {
        report_trace(scope, record);
    }
    context.metrics.stored(K::KIND, before.and_then(|status| status.outcome), status);
    // If the watch was faster, it has also updated the queue.
    if scope.cache.put(&record.key, object) {
        context.queue.update(&record.key, object.as_ref());
    }
}

/// Ends the trace of a finished request, in a task of its own so that it ends after the span of the record.
fn report_trace<K: Kind>(scope: &Scope<K>, record: &Record<K>) {
    if let Some(whole) = finish((&record.key, record.base.as_ref()), &record.status, record.started) {
        scope.context.recorders.spawn(async move { drop(whole) });
    }
}

/// Reports the outcome of an object that was deleted during its call: in the log, and in an Event if it is accepted.
fn deleted<K: Kind>(scope: &Scope<K>, record: &Record<K>) {
    if !record.of_claim {
        return;
    }
    report_trace(scope, record);
    let status = &record.status;
    let operation = status.operation.as_ref();
    let error = operation.and_then(|operation| operation.last_error.as_ref());
    tracing::warn!(
        uid = %record.key.uid,
        operation = operation.map(|operation| operation.id.as_str()),
        outcome = status.outcome.map(Outcome::as_str),
        reason = status.reason.map(Reason::as_str),
        code = error.and_then(|error| error.code),
        error = error.map(|error| error.message.as_str()),
        "the object was deleted while its call was in progress"
    );
    if let Some(event) = event_for_deleted(record.base.status(), status, &record.missing_fields) {
        scope.context.events.publish(about(record.base.as_ref(), event));
    }
}
