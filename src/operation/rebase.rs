//! Decides whether and in which form an outcome may still be stored after its first write failed.

use crate::api::{Outcome, Status};

/// Whether `outcome`, which follows the status `base`, may replace the status `fresh`: the claim is still stored, or the
/// outcome is a success of the same request, which is still open.
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

/// Returns `outcome` for an object whose stored status has changed since the claim to `stored`: it keeps the attempts
/// that others counted, so that the API server accepts it.
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

/// Returns `status` without the CDE's data, for an API server that rejects it.
#[must_use]
pub fn strip_result<R: Clone + Default>(status: &Status<R>) -> Status<R> {
    Status { state: None, result: R::default(), ..status.clone() }
}
