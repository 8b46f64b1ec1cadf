//! An outcome whose write did not succeed at once: whether it may still be stored, and in which form.

use crate::api::{Outcome, Status};

/// Whether `outcome`, decided on an object whose status was `base`, may be stored in an object whose status is `fresh`
/// by now: the claim is still stored, or the outcome is a success of the same request, which is open.
#[must_use]
pub fn may_record<R>(base: Option<&Status<R>>, fresh: Option<&Status<R>>, outcome: &Status<R>) -> bool {
    let claim = |status: Option<&Status<R>>| {
        let operation = status?.operation.as_ref()?;
        Some((operation.id.clone(), operation.in_flight.clone()?))
    };
    let request = |status: Option<&Status<R>>| Some(status?.operation.as_ref()?.id.clone());
    let claimed = claim(base).is_some() && claim(fresh) == claim(base);
    let open = fresh.is_none_or(|stored| stored.outcome.is_none());
    let success = outcome.outcome == Some(Outcome::Succeeded);
    claimed || (success && open && request(fresh) == request(Some(outcome)))
}

/// Returns `outcome` for an object whose stored status has changed since the claim to `stored`: what others counted
/// stays counted, so that the API server accepts it.
#[must_use]
pub fn rebase<R: Clone>(outcome: &Status<R>, stored: Option<&Status<R>>) -> Status<R> {
    let mut outcome = outcome.clone();
    let Some(stored) = stored else { return outcome };
    if let (Some(ours), Some(theirs)) = (&mut outcome.operation, &stored.operation) {
        ours.attempts = ours.attempts.max(theirs.attempts);
        ours.last_attempt_time = theirs.last_attempt_time.clone().or(ours.last_attempt_time.take());
    }
    outcome.last_handled_retry = stored.last_handled_retry.clone().or(outcome.last_handled_retry);
    outcome
}

/// Returns `status` without what the CDE said, for an API server that refuses it.
#[must_use]
pub fn strip_result<R: Clone + Default>(status: &Status<R>) -> Status<R> {
    Status { state: None, result: R::default(), ..status.clone() }
}
