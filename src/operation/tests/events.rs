//! Events: at most one per outcome, and one for the first wait.

use super::fixtures::*;
use crate::api::{OperationRecord, Reason};
use crate::operation::{event_for, event_for_deleted};

fn reasons<O: Kind>(story: &Story<O>) -> Vec<(&'static str, bool)> {
    story.events.iter().map(|event| (event.reason, event.warning)).collect()
}

#[test]
fn a_request_without_trouble_has_one_event() {
    assert_eq!(reasons(&rollback().answered(rolled_back()).settled()), [("RolledBack", false)]);
}

#[test]
fn a_failure_is_one_warning_regardless_of_edits() {
    let story = rollback().answered(Err(status(400))).settled().edited().settled().edited().settled();
    assert_eq!(reasons(&story), [("OperationNotAllowed", true)]);
}

#[test]
fn a_skipped_request_is_a_warning() {
    assert_eq!(reasons(&rollback().not_after(-2 * DAY).settled()), [("Skipped", true)]);
}

#[test]
fn only_the_first_of_several_waits_has_an_event() {
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
fn a_failed_call_after_a_wait_in_the_queue_has_no_event() {
    let mut story = rollback().behind("another").settled();
    assert_eq!(reasons(&story), [("Queued", false)]);
    story.observed.ahead = None;
    let story = story.clock(30).answered(Err(status(423))).settled();
    assert_eq!(reasons(&story), [("Queued", false)]);
}

#[test]
fn a_verification_and_its_result_have_one_event_each() {
    let story = rollback().answered(Err(status(500))).settled().reads(connector().state("built")).waited();
    assert_eq!(reasons(&story), [("Verifying", true), ("OutcomeUnknown", true)]);
}

#[test]
fn a_reopened_request_has_events_of_its_own() {
    let story = rollback().answered(Err(status(400))).settled().retry_asked(10).clock(20);
    let story = story.answered(Err(status(423))).settled();
    assert_eq!(reasons(&story), [("OperationNotAllowed", true), ("Retrying", true)]);
    let story = story.answered(Err(status(400))).waited();
    assert_eq!(reasons(&story)[2..], [("OperationNotAllowed", true)]);
}

#[test]
fn a_success_with_missing_fields_is_a_warning_that_names_them() {
    let before = rollback().claimed(0);
    let after = before.clone().succeeded(1);
    let missing = ["state".to_owned(), "config.migration".to_owned()];
    let event = event_for(Some(before.status()), after.status(), &missing).unwrap();
    assert_eq!((event.warning, event.reason), (true, "IncompleteResponse"));
    assert!(event.note.contains("state, config.migration"), "{}", event.note);
    assert_eq!(event_for(Some(after.status()), after.status(), &missing), None);
}

#[test]
fn a_claim_has_no_event() {
    assert_eq!(reasons(&rollback().claimed(0)), []);
}

#[test]
fn the_note_of_an_event_is_the_message_of_ready() {
    let failed = rollback().answered(Err(status(400))).settled();
    let waiting = rollback().answered(Err(status(423))).settled();
    let succeeded = rollback().answered(rolled_back()).settled();
    for story in [failed, waiting, succeeded] {
        assert_eq!(story.events[0].note, story.message());
    }
}

#[test]
fn the_action_of_an_event_says_what_was_done() {
    let story = rollback().not_after(-2 * DAY).settled();
    assert_eq!(story.events[0].action, Some("Skip"));
    let story = rollback().answered(rolled_back()).settled();
    assert_eq!(story.events[0].action, None);
}

#[test]
fn a_reopened_request_that_expires_at_once_has_an_event_of_its_own() {
    let story = rollback().not_after(5).answered(Err(status(400))).settled().retry_asked(10).clock(20);
    let story = story.settled();
    assert_eq!(reasons(&story), [("OperationNotAllowed", true), ("Expired", true)]);
}

#[test]
fn each_sign_of_an_earlier_wait_keeps_a_claimed_request_from_another_first_event() {
    let claimed = rollback().claimed(0);
    let after = claimed.clone().failed(423, 1);
    let announced = |change: fn(&mut OperationRecord)| {
        let mut before = claimed.status().clone();
        change(before.operation.as_mut().unwrap());
        event_for(Some(&before), after.status(), &[]).is_some()
    };
    assert!(announced(|_| {}), "it is the first wait");
    assert!(!announced(|operation| operation.backoff_step = 1));
    assert!(!announced(|operation| operation.attempts = 2));
    assert!(!announced(|operation| operation.last_attempt_time = None));
}

#[test]
fn a_request_deleted_during_its_call_has_an_event_only_if_it_ended_or_its_effect_is_unknown() {
    let before = rollback().claimed(0);
    let event = |after: Story<_>| event_for_deleted(Some(before.status()), after.status(), &[]);
    assert_eq!(event(before.clone().succeeded(1)).map(|event| event.reason), Some("RolledBack"));
    assert_eq!(event(before.clone().failed(423, 1)), None, "the call had no effect");
    let unknown = event(before.clone().failed(500, 1)).unwrap();
    assert_eq!((unknown.warning, unknown.reason), (true, "OutcomeUnknown"));
    assert!(unknown.note.contains("500"), "{}", unknown.note);
}
