//! One object, one reconciliation: the table of contents of the shell.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::controller::Action;
use tracing::Instrument;

use crate::api::Status;
use crate::cde::model::CallId;
use crate::operation::{Observed, Release, Situation, Step, decide, next_call, release_claim};
use crate::runtime::clock;

use super::act::act;
use super::claim::{Claim, Claimed, claim};
use super::context::{Context, Scope};
use super::error::ReconcileError;
use super::events::warn_invalid_annotations;
use super::kind::{Key, Kind};
use super::observe::{Reading, observe};
use super::permits::{Permits, acquire};
use super::record::{Record, Recorded, record};
use super::trace::{step, written};

/// Takes one object as far as it goes now: decides, and does what was decided, until there is nothing to do but to
/// wait.
///
/// # Errors
/// [`ReconcileError`] when the API server could not be reached or does not keep what is written; the object is
/// reconciled again soon, from the start.
pub(super) async fn reconcile<K: Kind>(
    scope: &Arc<Scope<K>>,
    meta: &ObjectMeta,
) -> Result<Action, ReconcileError> {
    let Some(key) = scope.cache.key(meta) else { return Ok(Action::await_change()) };
    let _offered = Offered { context: &scope.context, key: &key };
    let mut attempt = Attempt { begun: clock::wall(), reading: None, permits: None };
    while let Some(object) = newest(scope, &key) {
        let (step, id) = attempt.decide(scope, &key, object.as_ref());
        let span = tracing::info_span!("step", operation = id.operation, attempt = id.attempt);
        let recorded = match step {
            Step::Rest => return Ok(rest(scope, &key)),
            Step::NotOurs { server } => return Ok(leave_to(scope, &key, &server)),
            Step::Wait(time) => return Ok(wait(scope, &key, time)),
            Step::Hold(time) => return Ok(hold(scope, &key, object.as_ref(), time)),
            Step::Read => {
                attempt.read(scope, (&key, object.as_ref()), &id).instrument(span).await;
                Recorded::Done
            }
            Step::Write(status) => {
                record(scope, Record::decided(&key, object, *status, attempt.begun), &id)
                    .instrument(span)
                    .await?
            }
            Step::Claim(status) => attempt.make(scope, &key, object, &status).instrument(span).await?,
        };
        if recorded == Recorded::Over {
            return Ok(wait(scope, &key, None));
        }
    }
    Ok(Action::await_change())
}

/// The newest version of the object; `None` where it is gone, its record is being written, or the operator stops.
fn newest<K: Kind>(scope: &Scope<K>, key: &Key) -> Option<Arc<K>> {
    let recording = scope.cache.remember(key, |memory| memory.recording)?;
    if recording || scope.context.stop.is_cancelled() {
        return None;
    }
    let object = scope.cache.get(key)?;
    warn_invalid_annotations(scope, key, object.as_ref());
    Some(object)
}

/// The attempt that this reconciliation works on.
struct Attempt {
    /// When this reconciliation began, for traces.
    begun: SystemTime,
    /// It serves one decision.
    reading: Option<Reading>,
    permits: Option<Permits>,
}

impl Attempt {
    /// Asks the rules, and identifies the next call.
    fn decide<K: Kind>(&mut self, scope: &Scope<K>, key: &Key, object: &K) -> (Step<K::Result>, CallId) {
        let context = &scope.context;
        let remembered = scope.cache.remember(key, |memory| (memory.seen_for(), memory.unsent.clone()));
        let ((seen_for, clock_set), unsent) = remembered.unwrap_or_default();
        let stored = object.status().and_then(|status| status.operation.as_ref()?.in_flight.as_ref());
        let (reading, noted) = self.reading.take().map(|it| (it.result, it.noted)).unzip();
        let noted = noted.unwrap_or_default();
        let has_turn = self.permits.as_ref().is_some_and(|permits| permits.turn.is_some());
        let observed = Observed {
            seen_for,
            clock_set,
            claim_unsent: unsent.is_some() && unsent.as_ref() == stored,
            ahead: if has_turn { None } else { context.queue.ahead_of(key) },
            on_hold: match &self.permits {
                Some(permits) => !permits.breaker.is_valid(),
                None => context.breaker.holds(key),
            },
            reading,
            refusal_confirmed: noted.refusal_confirmed,
            token_changed: noted.token_changed,
            jitter: clock::jitter(),
        };
        let situation = Situation {
            object,
            now: clock::now(),
            holder: &context.holder,
            settings: &context.settings,
            observed: &observed,
        };
        let step = decide(&situation);
        let id = match &step {
            Step::Write(status) | Step::Claim(status) => call_id(status),
            Step::Read => next_call(&situation),
            _ => CallId { operation: String::new(), attempt: 0 },
        };
        (step, id)
    }

    /// Reads the connector, once an attempt may be made; where it may not, the next decision sees why.
    async fn read<K: Kind>(&mut self, scope: &Scope<K>, (key, object): (&Key, &K), id: &CallId) {
        let context = &scope.context;
        // The read and the call: a reading is never older than the time that they take. No call follows a preview.
        let calls = if object.request_spec().suspend { 1 } else { 2 };
        if let Some(permits) = &mut self.permits {
            if !permits.top_up(context, calls).await {
                self.permits = None;
                return;
            }
        } else {
            self.permits = acquire(context, key, calls).await;
        }
        if let Some(permits) = &mut self.permits {
            permits.spend();
            self.reading = Some(observe(scope, (key, object), &permits.breaker, id).await);
        }
    }

    /// Claims, makes the call and records it.
    async fn make<K: Kind>(
        &mut self,
        scope: &Arc<Scope<K>>,
        key: &Key,
        object: Arc<K>,
        status: &Status<K::Result>,
    ) -> Result<Recorded, ReconcileError> {
        let context = &scope.context;
        let Some(permits) = &mut self.permits else {
            // The claim's time starts after the wait for the rate: decide again.
            self.permits = acquire(context, key, 1).await;
            return Ok(Recorded::Done);
        };
        if permits.turn.is_none() {
            permits.turn = context.queue.try_turn(key);
        }
        if permits.turn.is_none() || !permits.breaker.is_valid() {
            self.permits = None;
            return Ok(Recorded::Done);
        }
        let id = call_id(status);
        let span = step("claim", (key, object.as_ref()), &id);
        let answer = claim(scope, (key, object.as_ref()), status).instrument(span.clone()).await;
        let claimed = match written(&span, answer)? {
            Claim::Stored(claimed) => claimed,
            Claim::Lost => return Ok(Recorded::Done),
            Claim::Gone => return Ok(Recorded::Over),
        };
        context.queue.update(key, claimed.object.as_ref());
        if let Some(why) = unusable(context, &claimed) {
            tracing::info!(?why, "the claim is released: no call was made");
            let base = claimed.object;
            let status = release_claim(base.as_ref(), why, clock::now(), &context.settings, clock::jitter());
            return record(scope, Record::of_claim(key, base, status, self.begun), &id).await;
        }
        if !permits.breaker.is_valid() {
            // The next decision knows that nothing was sent.
            self.permits = None;
            return Ok(Recorded::Done);
        }
        permits.spend();
        let acted = act(scope, key, &claimed, permits, &id).await;
        self.permits = None;
        let made = Record::of_claim(key, claimed.object, acted.status, self.begun);
        record(scope, Record { missing_fields: acted.missing_fields, ..made }, &id).await
    }
}

/// Why no call may be made on a claim that has just been stored.
fn unusable<K>(context: &Context, claimed: &Claimed<K>) -> Option<Release> {
    if context.stop.is_cancelled() {
        return Some(Release::Stopping);
    }
    (!claimed.is_in_time(context.settings.timeout)).then_some(Release::TooLate)
}

/// The request and the attempt that `status` is about.
fn call_id<R>(status: &Status<R>) -> CallId {
    let operation = status.operation.as_ref();
    CallId {
        operation: operation.map(|operation| operation.id.clone()).unwrap_or_default(),
        attempt: operation.map(|operation| operation.attempts).unwrap_or_default(),
    }
}

/// Nothing is left to do: what comes next comes later.
fn wait<K: Kind>(scope: &Scope<K>, key: &Key, time: Option<Duration>) -> Action {
    scope.cache.remember(key, |memory| memory.interruptions = 0);
    time.map_or_else(Action::await_change, Action::requeue)
}

/// Nothing is left to do until the object changes: nobody waits for it.
fn rest<K: Kind>(scope: &Scope<K>, key: &Key) -> Action {
    scope.context.queue.stand_aside(key);
    wait(scope, key, None)
}

/// No call goes out at present: the circuit breaker wakes the object. The one whose last call is the oldest goes first.
fn hold<K: Kind>(scope: &Scope<K>, key: &Key, object: &K, time: Option<Duration>) -> Action {
    let operation = object.status().and_then(|status| status.operation.as_ref());
    let last_call = operation
        .and_then(|operation| operation.last_attempt_time.as_ref())
        .or(object.meta().creation_timestamp.as_ref())
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    scope.context.breaker.hold(key, last_call);
    wait(scope, key, time)
}

/// The request belongs to an operator with another base URL.
fn leave_to<K: Kind>(scope: &Scope<K>, key: &Key, server: &str) -> Action {
    if scope.cache.remember(key, |memory| !std::mem::replace(&mut memory.foreign, true)) == Some(true) {
        tracing::warn!(server, "claimed for another base address; left to the operator that has it");
    }
    rest(scope, key)
}

/// A probe that this object was offered, and passes on if it does not use it.
struct Offered<'a> {
    context: &'a Context,
    key: &'a Key,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.context.breaker.give_back(self.key);
    }
}
