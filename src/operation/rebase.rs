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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use crate::api::{InFlight, OperationRecord};

    use super::*;

    fn status(id: &str, holder: Option<&str>, outcome: Option<Outcome>) -> Status<()> {
        let until = Time(Timestamp::UNIX_EPOCH);
        let in_flight = holder.map(|holder| InFlight { holder: holder.to_owned(), attempt: 1, until });
        let operation = OperationRecord { id: id.to_owned(), in_flight, ..OperationRecord::default() };
        Status { operation: Some(operation), outcome, ..Status::default() }
    }

    #[test]
    fn an_outcome_replaces_its_own_claim_and_a_success_any_open_status_of_its_request() {
        let claimed = status("one", Some("me"), None);
        let [success, failure] =
            [Outcome::Succeeded, Outcome::Failed].map(|it| status("one", None, Some(it)));
        let by_another = status("one", Some("another"), None);
        let released = status("one", None, None);
        let next_request = status("two", Some("me"), None);
        for (stored, success_may, failure_may) in [
            (&claimed, true, true),
            (&by_another, true, false),
            (&released, true, false),
            (&failure, false, false),
            (&next_request, false, false),
        ] {
            let may = |outcome| may_record(Some(&claimed), Some(stored), outcome);
            assert_eq!((may(&success), may(&failure)), (success_may, failure_may), "{stored:?}");
        }
        assert!(
            !may_record(Some(&released), Some(&released), &failure),
            "without a claim there is no outcome"
        );
    }
}
