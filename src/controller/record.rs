//! Record: store what was decided.
//!
//! A status that only says what is waited for is written once. The record of a call, and the end of a request, are
//! kept until they are stored: a first write that does not succeed goes on in the background, so that it occupies no
//! worker, and nothing else is done for the object meanwhile.

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

/// A status that is to be stored.
pub(super) struct Record<K: Kind> {
    pub(super) key: Key,
    /// The object that it was decided on.
    pub(super) base: Arc<K>,
    pub(super) status: Status<K::Result>,
    /// Whether it records a claim: a call, or that none was made.
    pub(super) of_claim: bool,
    /// Fields that a successful response lacked.
    pub(super) missing_fields: Vec<String>,
    /// When the reconciliation that made it began, for traces. The object itself may be gone from the cache by the time it
    /// is stored: a finished one leaves the watch.
    pub(super) begun: SystemTime,
}

impl<K: Kind> Record<K> {
    /// A status that follows no call.
    pub(super) fn decided(key: &Key, base: Arc<K>, status: Status<K::Result>, begun: SystemTime) -> Self {
        Self { key: key.clone(), base, status, of_claim: false, missing_fields: Vec::new(), begun }
    }

    /// A status that records a claim.
    pub(super) fn of_claim(key: &Key, base: Arc<K>, status: Status<K::Result>, begun: SystemTime) -> Self {
        Self { key: key.clone(), base, status, of_claim: true, missing_fields: Vec::new(), begun }
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is stored, or the object has changed: the object can be decided again.
    Done,
    /// The request is finished, its record is being written in the background, or the object is gone: there is nothing
    /// left to do.
    Over,
}

/// Stores a status.
///
/// # Errors
/// When the API server does not store a status that only says what is waited for.
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
        Ok(()) if record.status.outcome.is_some() => return Ok(Recorded::Over),
        Ok(()) => return Ok(Recorded::Done),
        Err(Unstored::Gone) => {
            deleted(scope, &record);
            return Ok(Recorded::Over);
        }
        // What was decided may hold no longer.
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
    Ok(Recorded::Over)
}

/// Takes over the object as it is by now.
async fn refresh<K: Kind>(scope: &Scope<K>, record: &Record<K>) -> Result<Recorded, ReconcileError> {
    match read_back(&scope.context.client, record.base.as_ref()).await? {
        Some(object) => {
            scope.cache.put(&record.key, &object);
            Ok(Recorded::Done)
        }
        None => Ok(Recorded::Over),
    }
}

/// Writes a record once.
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
                "the API server refuses the outcome; writing it without the CDE's data"
            );
            record.status = strip_result(&record.status);
        }
        Unstored::Unclear(why) => tracing::warn!(error = why, "the outcome is not stored yet"),
        Unstored::Conflict | Unstored::Gone => {}
    }
}

/// Writes a record against fresh reads until it is stored, or is not this process's to store any more.
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
                tracing::warn!("the object was changed by another writer meanwhile: its outcome is dropped");
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

/// Nobody has written the object since the record was decided.
fn is_unchanged<K: Kind>(fresh: &K, record: &Record<K>) -> bool {
    fresh.meta().resource_version == record.base.meta().resource_version
}

/// The status is stored: Event, metrics and log say so, once.
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
    // Where the watch was faster it has brought the queue up to date as well, or has removed the object for good.
    if scope.cache.put(&record.key, object) {
        context.queue.update(&record.key, object.as_ref());
    }
}

/// The request is over, and so is its trace: a task of its own ends it, after the span of the record has ended.
fn report_trace<K: Kind>(scope: &Scope<K>, record: &Record<K>) {
    let whole = finish((&record.key, record.base.as_ref()), &record.status, record.begun);
    scope.context.recorders.spawn(async move { drop(whole) });
}

/// The object was deleted while its call was in progress: the outcome goes to the log, and to an Event where one is
/// still accepted.
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
        "the object was deleted while its call was under way"
    );
    if let Some(event) = event_for_deleted(record.base.status(), status, &record.missing_fields) {
        scope.context.events.publish(about(record.base.as_ref(), event));
    }
}
