//! Claim: write the intent, by compare-and-swap, before anything is called.
//!
//! A [`Claimed`] is made here and nowhere else, and only when the API server has answered with an object whose
//! stored claim is the one that was sent.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::Instrument as _;

use crate::api::{InFlight, Status};
use crate::operation::give_back;

use super::Managed;
use super::pass::{Interrupted, Pass};
use super::reconcile::call_id;
use super::status_write::{Unstored, put_status, read_back};
use super::trace::written;

/// The right to make one call.
pub(super) struct Claimed {
    claim: InFlight,
    /// The claim's end by the monotonic clock.
    over: Instant,
}

impl Claimed {
    /// Whether the call can still end before the claim does, by both clocks.
    fn in_time(&self, timeout: Duration) -> bool {
        let now = Timestamp::now();
        let ends = now.checked_add(timeout).unwrap_or(Timestamp::MAX);
        ends < self.claim.until.0 && Instant::now() + timeout < self.over
    }

    /// What is left of the claim, by the monotonic clock.
    pub(super) fn left(&self) -> Duration {
        self.over.saturating_duration_since(Instant::now())
    }
}

impl<O: Managed> Pass<'_, O> {
    /// Stores the claim in `status`, and checks again that the call may go out; `None` to decide again.
    ///
    /// # Errors
    /// [`Interrupted`] when the API server cannot say whether the claim is stored, or drops it.
    pub(super) async fn claim(&mut self, status: Status<O::Result>) -> Result<Option<Claimed>, Interrupted> {
        let shared = self.context.shared.clone();
        if !self.rated {
            // The claim's time begins after the wait for the rate: decide again.
            shared.rate.permit().await;
            self.rated = true;
            return Ok(None);
        }
        if shared.stop.is_ordered() {
            self.over = true;
            return Ok(None);
        }
        if !shared.crds.is_good() {
            return Err(Interrupted::CrdTooOld);
        }
        if !shared.roster.knows(&self.key) {
            // Deleted, or finished by another operator, since the pass began: there is no turn to wait for.
            self.over = true;
            return Ok(None);
        }
        if !shared.roster.reserve(&self.key, Timestamp::now())
            || !shared.gate.enter(&self.key, self.last_call())
        {
            return Ok(None);
        }
        self.rated = false;
        let span = self.step("claim", &call_id(&status));
        let stored = self.store_claim(&status).instrument(span.clone()).await;
        let Some(claim) = written(&span, stored)? else { return Ok(None) };
        if shared.stop.is_ordered()
            || !shared.gate.still_open(&self.key)
            || !claim.in_time(shared.settings.timeout)
        {
            tracing::info!("the claim is given back: no call was made");
            self.unrecorded = Some(give_back(self.object.as_ref(), Timestamp::now(), &shared.settings));
            return Ok(None);
        }
        Ok(Some(claim))
    }

    /// Writes the claim, and makes sure that it stands.
    async fn store_claim(&mut self, status: &Status<O::Result>) -> Result<Option<Claimed>, Interrupted> {
        let Some(claim) = status.operation.as_ref().and_then(|operation| operation.in_flight.clone()) else {
            return Ok(None);
        };
        let taken = Instant::now();
        let (shared, object) = (&self.context.shared, self.object.as_ref());
        let (stored, unclear) = match put_status(shared, object, status).await {
            Ok(object) => (Some(object), None),
            Err(Unstored::Gone) => (None, None),
            Err(Unstored::Refused(why)) => return Err(Interrupted::ApiServer(why)),
            Err(Unstored::Conflict) => (read_back(shared, object).await?, None),
            // It may stand nevertheless: only the object itself can tell.
            Err(Unstored::Unclear(why)) => (read_back(shared, object).await?, Some(why)),
        };
        let Some(object) = stored else {
            self.gone();
            return Ok(None);
        };
        let stands =
            object.status().and_then(|stored| stored.operation.as_ref()) == status.operation.as_ref();
        let pruned = object.status().and_then(|stored| stored.operation.as_ref()).is_some_and(|operation| {
            operation.attempts == claim.attempt
                && operation.in_flight.is_none()
                && operation.completed_at.is_none()
        });
        self.take(object);
        if stands {
            let length = claim.until.0.duration_since(self.last_call());
            let over = taken + Duration::try_from(length).unwrap_or_default();
            return Ok(Some(Claimed { claim, over }));
        }
        if pruned {
            self.context.shared.crds.doubt();
            return Err(Interrupted::CrdTooOld);
        }
        // An API server that refuses claims is not asked again at once.
        unclear.map_or(Ok(None), |why| Err(Interrupted::ApiServer(why)))
    }
}
