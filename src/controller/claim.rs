//! Claim: store the intent by compare-and-swap before a call. Only this module creates a [`Claimed`], and only if the API
//! server returned an object with exactly the claim that was sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::api::{InFlight, Status};
use crate::runtime::clock;

use super::context::Scope;
use super::error::ReconcileError;
use super::kind::{Key, Kind};
use super::status_api::{Unstored, put_status, read_back};

/// The right to make one call.
pub(super) struct Claimed<K> {
    /// The object, with the claim stored in its status.
    pub(super) object: Arc<K>,
    claim: InFlight,
    /// The claim's end by the monotonic clock.
    ends: Instant,
}

impl<K> Claimed<K> {
    /// Whether the call can still end before the claim does, by both clocks.
    pub(super) fn is_in_time(&self, timeout: Duration) -> bool {
        let now = clock::now();
        let ends = now.checked_add(timeout).unwrap_or(Timestamp::MAX);
        ends < self.claim.until.0 && clock::monotonic() + timeout < self.ends
    }

    /// Returns what is left of the claim, by the monotonic clock.
    pub(super) fn left(&self) -> Duration {
        self.ends.saturating_duration_since(clock::monotonic())
    }
}

pub(super) enum Claim<K> {
    Stored(Claimed<K>),
    /// It is not stored because the object has changed.
    Lost,
    /// The object is gone.
    Gone,
}

/// Stores the claim in `status` and checks that it is stored.
///
/// # Errors
/// If it is unknown whether the claim is stored, or if the API server drops it.
pub(super) async fn claim<K: Kind>(
    scope: &Scope<K>,
    (key, object): (&Key, &K),
    status: &Status<K::Result>,
) -> Result<Claim<K>, ReconcileError> {
    let context = &scope.context;
    if !context.crds.is_good() {
        return Err(ReconcileError::CrdTooOld);
    }
    let Some(claim) = status.operation.as_ref().and_then(|operation| operation.in_flight.clone()) else {
        return Ok(Claim::Lost);
    };
    // Remembered until the call is made, even if it is unknown whether the claim is stored.
    scope.cache.remember(key, |memory| memory.unsent = Some(claim.clone()));
    let started = clock::monotonic();
    let (stored, unclear) = match put_status(&context.client, &context.metrics, object, status).await {
        Ok(object) => (Some(object), None),
        Err(Unstored::Gone) => (None, None),
        Err(Unstored::Refused(why)) => return Err(ReconcileError::ApiServer(why)),
        Err(Unstored::Conflict) => (read_back(&context.client, object).await?, None),
        // It may be stored nevertheless, so read the object.
        Err(Unstored::Unclear(why)) => (read_back(&context.client, object).await?, Some(why)),
    };
    let Some(object) = stored else { return Ok(Claim::Gone) };
    scope.cache.put(key, &object);
    let operation = object.status().and_then(|stored| stored.operation.as_ref());
    if operation == status.operation.as_ref() {
        let claimed = operation.and_then(|operation| operation.last_attempt_time.as_ref());
        let length = claimed.map(|claimed| claim.until.0.duration_since(claimed.0)).unwrap_or_default();
        let ends = started + Duration::try_from(length).unwrap_or_default();
        return Ok(Claim::Stored(Claimed { object, claim, ends }));
    }
    let pruned = operation.is_some_and(|operation| {
        operation.attempts == claim.attempt
            && operation.in_flight.is_none()
            && operation.completion_time.is_none()
    });
    if pruned {
        context.crds.invalidate();
        return Err(ReconcileError::CrdTooOld);
    }
    // Back off from an API server that rejects claims.
    unclear.map_or(Ok(Claim::Lost), |why| Err(ReconcileError::ApiServer(why)))
}
