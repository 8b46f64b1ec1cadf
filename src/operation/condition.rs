//! Conditions as kstatus and `kubectl wait` read them, derived from one reason.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{Outcome, Reason};

use super::whole_seconds;

/// Maximum number of characters of a condition's message, which may quote the spec. The API server allows 32,768.
const MESSAGE: usize = 1024;

/// Returns the conditions for `reason` and `message`, which follow the conditions `before`: `lastTransitionTime` changes
/// with a condition's status, not with its reason. `generation` is `None` in a final record.
#[must_use]
pub(super) fn conditions(
    before: &[Condition],
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |type_: &str, status: &str| Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_string(),
        message: crate::text::clean(message, MESSAGE),
        observed_generation: generation,
        last_transition_time: before
            .iter()
            .find(|old| old.type_ == type_ && old.status == status)
            .map_or_else(|| Time(whole_seconds(now)), |old| old.last_transition_time.clone()),
    };
    let ready = match reason.outcome() {
        Some(Outcome::Succeeded | Outcome::Skipped) => "True",
        Some(Outcome::Failed | Outcome::Unknown) => "False",
        None => "Unknown",
    };
    let mut all = vec![condition("Ready", ready)];
    all.extend(companion(reason).map(|type_| condition(type_, "True")));
    all
}

/// The condition besides Ready. It is removed, not set to False, when it does not hold.
fn companion(reason: Reason) -> Option<&'static str> {
    match reason.outcome() {
        Some(Outcome::Failed | Outcome::Unknown) => Some("Stalled"),
        Some(Outcome::Succeeded | Outcome::Skipped) => None,
        None if reason == Reason::Suspended => None,
        None => Some("Reconciling"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shape(reason: Reason) -> Vec<(String, String)> {
        conditions(&[], reason, "m", Some(1), at(0)).into_iter().map(|c| (c.type_, c.status)).collect()
    }

    #[test]
    fn every_reason_has_the_documented_conditions() {
        use Reason::*;
        let pairs = |ready: &str, other: Option<&str>| {
            let mut all = vec![("Ready".to_owned(), ready.to_owned())];
            all.extend(other.map(|o| (o.to_owned(), "True".to_owned())));
            all
        };
        for reason in Reason::ALL.into_iter().filter(|reason| reason.outcome().is_some_and(Outcome::is_final))
        {
            assert_eq!(shape(reason), pairs("True", None), "{reason}");
        }
        for reason in [Queued, OnHold, InProgress, Verifying, Retrying, TokenRejected] {
            assert_eq!(shape(reason), pairs("Unknown", Some("Reconciling")), "{reason}");
        }
        assert_eq!(shape(Suspended), pairs("Unknown", None));
        for reason in [
            OperationNotAllowed,
            AccessDenied,
            NotFound,
            RequestRejected,
            PreconditionFailed,
            Expired,
            DeadlineExceeded,
            ConfirmedFailed,
            OutcomeUnknown,
        ] {
            assert_eq!(shape(reason), pairs("False", Some("Stalled")), "{reason}");
        }
    }

    #[test]
    fn a_message_contains_no_control_characters() {
        let ready =
            conditions(&[], Reason::NotFound, "\u{1b}[31mx is no\nversion.", Some(1), at(0)).remove(0);
        assert_eq!(ready.message, "[31mx is no version.");
    }

    #[test]
    fn the_transition_time_moves_with_the_status_and_not_with_the_reason() {
        let first = conditions(&[], Reason::Queued, "m", Some(1), at(10));
        let same = conditions(&first, Reason::Retrying, "n", Some(1), at(20));
        assert_eq!(same[0].last_transition_time.0, at(10));
        let other = conditions(&same, Reason::RolledBack, "o", None, at(30));
        assert_eq!(other[0].last_transition_time.0, at(30));
    }
}
