//! Events: at most one an outcome, one when an object first starts to wait.

use super::fixtures::*;
use crate::api::Reason;
use crate::operation::event_for;

fn reasons<O: Kind>(story: &Story<O>) -> Vec<(&'static str, bool)> {
    story.events.iter().map(|event| (event.reason, event.warning)).collect()
}

#[test]
fn an_object_that_meets_no_trouble_has_one_event() {
    assert_eq!(reasons(&rollback().answered(rolled_back()).told()), [("RolledBack", false)]);
}

#[test]
fn a_failure_is_a_warning_and_told_once_whatever_is_edited() {
    let story = rollback().answered(Err(status(400))).told().edited().told().edited().told();
    assert_eq!(reasons(&story), [("OperationNotAllowed", true)]);
}

#[test]
fn a_skipped_object_is_a_warning() {
    assert_eq!(reasons(&rollback().not_after(-2 * DAY).told()), [("Skipped", true)]);
}

#[test]
fn only_the_first_wait_is_told_however_many_follow() {
    let mut story = rollback();
    for _ in 0..5 {
        story = story.answered(Err(status(423)));
    }
    let mut story = story.answered(rolled_back());
    for _ in 0..5 {
        story = story.waited();
    }
    assert_eq!(story.reason(), Reason::RolledBack);
    assert_eq!(reasons(&story), [("Retrying", true), ("RolledBack", false)]);
}

#[test]
fn who_first_waits_for_its_turn_is_not_told_of_again_when_a_call_fails() {
    let mut story = rollback().behind("another").told();
    assert_eq!(reasons(&story), [("Queued", false)]);
    story.observed.ahead = None;
    let story = story.clock(30).answered(Err(status(423))).told();
    assert_eq!(reasons(&story), [("Queued", false)]);
}

#[test]
fn a_first_wait_for_a_verdict_is_told_and_then_the_verdict() {
    let story = rollback().answered(Err(status(500))).told().reads(connector().state("built")).waited();
    assert_eq!(reasons(&story), [("Verifying", true), ("OutcomeUnknown", true)]);
}

#[test]
fn a_request_that_is_opened_again_is_told_of_again() {
    let story = rollback().answered(Err(status(400))).told().retry_asked(10).clock(20);
    let story = story.answered(Err(status(423))).told();
    assert_eq!(reasons(&story), [("OperationNotAllowed", true), ("Retrying", true)]);
    let story = story.answered(Err(status(400))).waited();
    assert_eq!(reasons(&story)[2..], [("OperationNotAllowed", true)]);
}

#[test]
fn a_success_that_lacks_fields_is_a_warning_that_names_them() {
    let before = rollback().claimed(0);
    let after = before.clone().succeeded(1);
    let odd = ["state".to_owned(), "config.migration".to_owned()];
    let event = event_for(Some(before.status()), after.status(), &odd).unwrap();
    assert_eq!((event.warning, event.reason), (true, "IncompleteResponse"));
    assert!(event.note.contains("state, config.migration"), "{}", event.note);
    assert_eq!(event_for(Some(after.status()), after.status(), &odd), None);
}

#[test]
fn a_claim_is_no_event() {
    assert_eq!(reasons(&rollback().claimed(0)), []);
}
