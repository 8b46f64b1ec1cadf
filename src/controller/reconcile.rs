//! The reconciliation of one object.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures::poll;
use jiff::Timestamp;
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
use super::permits::{Permits, acquire, usable_token};
use super::record::{Record, Recorded, record};
use super::trace::{step, written};

/// Decides and carries out steps for one object until it has to wait. Returns for how long, unless something wakes it.
///
/// # Errors
/// If the API server cannot be reached or drops fields. The object is reconciled again soon.
pub(super) async fn reconcile<K: Kind>(
    scope: &Arc<Scope<K>>,
    key: &Key,
) -> Result<Option<Duration>, ReconcileError> {
    let _offered = Offered { context: &scope.context, key };
    let mut attempt = Attempt { started: clock::wall(), reading: None, permits: None };
    while let Some(object) = newest(scope, key) {
        let (step, id) = attempt.decide(scope, key, object.as_ref());
        let span = tracing::info_span!("attempt", operation = id.operation, attempt = id.attempt);
        let recorded = match step {
            Step::Rest => return Ok(rest(scope, key)),
            Step::NotOurs { server } => return Ok(leave_to(scope, key, &server)),
            Step::Wait(time) => return Ok(wait(scope, key, time)),
            Step::Hold(time) => return Ok(hold(scope, key, object.as_ref(), time)),
            Step::Read => {
                attempt.read(scope, (key, object.as_ref()), &id).instrument(span).await;
                Recorded::Continue
            }
            Step::Write(status) => {
                record(scope, Record::decided(key, object, *status, attempt.started), &id)
                    .instrument(span)
                    .await?
            }
            Step::Claim(status) => attempt.make(scope, key, object, &status).instrument(span).await?,
        };
        if recorded == Recorded::Stop {
            return Ok(wait(scope, key, None));
        }
    }
    Ok(None)
}

/// Returns the newest version of the object; `None` if it is gone, its record is being written, or the operator stops.
fn newest<K: Kind>(scope: &Scope<K>, key: &Key) -> Option<Arc<K>> {
    let recording = scope.cache.remember(key, |memory| memory.recording)?;
    if recording || scope.context.stop.is_cancelled() {
        return None;
    }
    let object = scope.cache.get(key)?;
    warn_invalid_annotations(scope, key, object.as_ref());
    Some(object)
}

struct Attempt {
    /// When this reconciliation started, for traces.
    started: SystemTime,
    /// Used for one decision only.
    reading: Option<Reading>,
    permits: Option<Permits>,
}

impl Attempt {
    /// Returns the next step, and identifies the next call.
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
            login_required: context.credential.login_required(),
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

    /// Reads the connector, if the permits can be acquired. If not, the next decision sees why.
    async fn read<K: Kind>(&mut self, scope: &Scope<K>, (key, object): (&Key, &K), id: &CallId) {
        let context = &scope.context;
        // The rate permits of read and call are taken together, so that the call follows the read at once. No call
        // follows a preview.
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

    async fn make<K: Kind>(
        &mut self,
        scope: &Arc<Scope<K>>,
        key: &Key,
        object: Arc<K>,
        status: &Status<K::Result>,
    ) -> Result<Recorded, ReconcileError> {
        let context = &scope.context;
        if self.permits.is_none() {
            let mut acquired = pin!(acquire(context, key, 1));
            match poll!(acquired.as_mut()) {
                Poll::Ready(permits) => self.permits = permits,
                Poll::Pending => {
                    // Decide again, so that the claim starts after the wait.
                    self.permits = acquired.await;
                    return Ok(Recorded::Continue);
                }
            }
        }
        let Some(permits) = &mut self.permits else { return Ok(Recorded::Continue) };
        if permits.turn.is_none() {
            permits.turn = context.queue.try_turn(key);
        }
        if permits.turn.is_none() || !permits.breaker.is_valid() {
            self.permits = None;
            return Ok(Recorded::Continue);
        }
        let id = call_id(status);
        let span = step("claim", (key, object.as_ref()), &id);
        let answer = claim(scope, (key, object.as_ref()), status).instrument(span.clone()).await;
        let claimed = match written(&span, answer)? {
            Claim::Stored(claimed) => claimed,
            Claim::Lost => return Ok(Recorded::Continue),
            Claim::Gone => return Ok(Recorded::Stop),
        };
        context.queue.update(key, claimed.object.as_ref());
        // The token may be replaced since the permits were acquired. If that takes too long, the claim is released.
        usable_token(context).await;
        if let Some(why) = unusable(context, &claimed) {
            tracing::info!(?why, "releasing the claim without a call");
            let base = claimed.object;
            let status = release_claim(base.as_ref(), why, clock::now(), &context.settings, clock::jitter());
            return record(scope, Record::of_claim(key, base, status, self.started), &id).await;
        }
        if !permits.breaker.is_valid() {
            // The next decision knows that nothing was sent.
            self.permits = None;
            return Ok(Recorded::Continue);
        }
        permits.spend();
        let acted = act(scope, key, &claimed, permits, &id).await;
        self.permits = None;
        let made = Record::of_claim(key, claimed.object, acted.status, self.started);
        record(scope, Record { missing_fields: acted.missing_fields, ..made }, &id).await
    }
}

/// Returns why a claim that was just stored cannot be used.
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

fn wait<K: Kind>(scope: &Scope<K>, key: &Key, time: Option<Duration>) -> Option<Duration> {
    scope.cache.remember(key, |memory| memory.interruptions = 0);
    time
}

/// Waits until the object changes. Other requests do not wait for it.
fn rest<K: Kind>(scope: &Scope<K>, key: &Key) -> Option<Duration> {
    scope.context.queue.stand_aside(key);
    wait(scope, key, None)
}

/// Waits until the circuit breaker wakes the object.
fn hold<K: Kind>(scope: &Scope<K>, key: &Key, object: &K, time: Option<Duration>) -> Option<Duration> {
    let operation = object.status().and_then(|status| status.operation.as_ref());
    let last_call = operation
        .and_then(|operation| operation.last_attempt_time.as_ref())
        .or(object.meta().creation_timestamp.as_ref())
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    scope.context.breaker.hold(key, last_call);
    wait(scope, key, time)
}

/// The request belongs to an operator with another base URL.
fn leave_to<K: Kind>(scope: &Scope<K>, key: &Key, server: &str) -> Option<Duration> {
    if scope.cache.remember(key, |memory| !std::mem::replace(&mut memory.foreign, true)) == Some(true) {
        tracing::warn!(server, "claimed for another base URL; leaving the request to that operator");
    }
    rest(scope, key)
}

/// Returns an unused probe of the circuit breaker when dropped.
struct Offered<'a> {
    context: &'a Context,
    key: &'a Key,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.context.breaker.return_probe(self.key);
    }
}
