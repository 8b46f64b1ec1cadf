//! The conditions of each state.

use super::fixtures::*;
use crate::api::{Outcome, Reason, Status};
use crate::operation::Operation;

fn shape<R>(status: &Status<R>) -> (Reason, Option<Outcome>, Vec<(&str, &str)>) {
    let conditions = status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect();
    (status.reason.unwrap(), status.outcome, conditions)
}

#[test]
fn every_state_has_the_documented_conditions_and_outcome() {
    use Reason::*;
    let failing = [("Ready", "False"), ("Stalled", "True")];
    let working = [("Ready", "Unknown"), ("Reconciling", "True")];
    let done: &[_] = &[("Ready", "True")];
    let waiting: &[_] = &[("Ready", "Unknown")];
    let unknown = || rollback().claimed(0).failed(500, 1).clock(10);
    for (story, reason, outcome, conditions) in vec![
        (rollback().claimed(0).succeeded(1), RolledBack, Some(Outcome::Succeeded), done),
        (rollback().not_after(-2 * DAY).settled(), Skipped, Some(Outcome::Skipped), done),
        (rollback().behind("another").settled(), Queued, None, &working),
        (rollback().held().settled(), OnHold, None, &working),
        (rollback().claimed(0), InProgress, None, &working),
        (rollback().claimed(0).failed(500, 1), Verifying, None, &working),
        (rollback().claimed(0).failed(429, 1), Retrying, None, &working),
        (rollback().claimed(0).failed(401, 1), TokenRejected, None, &working),
        (rollback().suspended().settled(), Suspended, None, waiting),
        (rollback().claimed(0).failed(400, 1), OperationNotAllowed, Some(Outcome::Failed), &failing),
        (rollback().claimed(0).failed(403, 1), AccessDenied, Some(Outcome::Failed), &failing),
        (rollback().claimed(0).failed(404, 1), NotFound, Some(Outcome::Failed), &failing),
        (rollback().claimed(0).failed(422, 1), RequestRejected, Some(Outcome::Failed), &failing),
        (rollback().not_after(0).settled(), Expired, Some(Outcome::Failed), &failing),
        (rollback().clock(DAY).settled(), DeadlineExceeded, Some(Outcome::Failed), &failing),
        (unknown().reading_fails(status(403)).settled(), OutcomeUnknown, Some(Outcome::Unknown), &failing),
    ] {
        assert_eq!(shape(story.status()), (reason, outcome, conditions.to_vec()));
        for condition in &story.status().conditions {
            assert_eq!(condition.reason, reason.as_str());
            assert!(condition.message.ends_with(|c: char| !c.is_whitespace()), "{reason} says something");
        }
    }
    let live = restore().claimed(0).failed(404, 1).reads(connector()).settled();
    assert_eq!(shape(live.status()), (AlreadyRestored, Some(Outcome::Succeeded), done.to_vec()));
    let restored = restore().claimed(0).succeeded(1);
    assert_eq!(shape(restored.object.status().unwrap()).0, Restored);
}

#[test]
fn ready_keeps_its_transition_time_until_its_status_changes() {
    let story = rollback().claimed(5).failed(423, 10).claimed(20).failed(500, 30);
    assert_eq!(story.status().conditions[0].last_transition_time.0, at(5));
    let story = story.claimed(60).succeeded(70);
    assert_eq!(story.status().conditions[0].last_transition_time.0, at(70));
}

#[test]
fn the_message_of_a_wait_is_the_same_for_each_retry() {
    let mut story = rollback().claimed(0).failed(423, 1);
    let message = story.message().to_owned();
    for second in [10, 100, 1000] {
        story = story.claimed(second).failed(423, second + 1);
        assert_eq!(story.message(), message);
    }
}
