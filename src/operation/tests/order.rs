//! The order of the rules.

use std::time::Duration;

use super::fixtures::*;
use crate::api::{ExecutableConditions, Preconditions, Reason};
use crate::operation::Step;

#[test]
fn a_finished_request_is_left_alone_under_any_base_url() {
    let story = rollback().claimed(0).failed(403, 1).elsewhere();
    assert_eq!(story.decide(), Step::Rest);
}

#[test]
fn a_claim_for_another_base_url_is_not_waited_for() {
    let story = rollback().claimed(0).elsewhere();
    assert_eq!(story.decide(), Step::NotOurs { server: SERVER.to_owned() });
}

#[test]
fn a_stored_claim_is_waited_out_before_an_earlier_attempt_is_verified() {
    let story = rollback().claimed(0).failed(500, 1).claimed(10);
    assert_eq!(story.operation().unknown_attempts, 1);
    assert_eq!(story.decide(), Step::Wait(Some(Duration::from_secs(35))));
}

#[test]
fn an_unknown_attempt_is_verified_even_if_no_other_may_begin() {
    let unknown = rollback().claimed(0).failed(500, 1).clock(10);
    for (what, story) in [
        ("being deleted", unknown.clone().being_deleted()),
        ("past notAfter", unknown.clone().not_after(5)),
        ("past the deadline", unknown.clone().active_deadline(5)),
        ("stale", unknown.clone().not_after(-2 * DAY)),
        ("suspended", unknown.clone().suspended()),
        ("queued", unknown.clone().behind("another")),
    ] {
        assert_eq!(story.decide(), Step::Read, "{what}");
    }
}

#[test]
fn an_object_being_deleted_is_neither_skipped_nor_expired() {
    assert_eq!(rollback().not_after(-2 * DAY).being_deleted().decide(), Step::Rest);
    assert_eq!(rollback().not_after(-1).being_deleted().decide(), Step::Rest);
}

#[test]
fn a_stale_request_is_skipped_rather_than_expired() {
    assert_eq!(rollback().not_after(-2 * DAY).settled().reason(), Reason::Skipped);
}

#[test]
fn not_after_goes_before_the_deadline() {
    assert_eq!(rollback().not_after(20).active_deadline(10).clock(30).settled().reason(), Reason::Expired);
}

#[test]
fn limits_hold_while_suspended() {
    assert_eq!(rollback().not_after(10).suspended().clock(10).settled().reason(), Reason::Expired);
    assert_eq!(
        rollback().active_deadline(10).suspended().clock(10).settled().reason(),
        Reason::DeadlineExceeded
    );
}

#[test]
fn a_suspended_request_does_not_wait_in_the_queue() {
    assert_eq!(rollback().suspended().behind("another").settled().reason(), Reason::Suspended);
}

#[test]
fn a_queued_request_stays_queued_while_calls_are_on_hold() {
    let story = rollback().behind("ConnectorRestore ns/first").held().settled();
    assert_eq!(story.reason(), Reason::Queued);
    assert!(story.message().contains("ConnectorRestore ns/first"), "{}", story.message());
}

#[test]
fn calls_on_hold_are_waited_for_regardless_of_the_backoff() {
    let waiting = rollback().claimed(0).failed(429, 1);
    assert_eq!(waiting.clone().decide(), Step::Wait(Some(Duration::from_secs(1))));
    let deadline = Duration::from_secs(u64::try_from(DAY - 1).unwrap());
    assert_eq!(waiting.held().decide(), Step::Hold(Some(deadline)));
}

#[test]
fn nothing_is_read_before_the_wait_is_over() {
    let story = rollback().claimed(0).failed(429, 1);
    assert_eq!(story.decide(), Step::Wait(Some(Duration::from_secs(1))));
    assert_eq!(story.clock(2).decide(), Step::Read);
}

#[test]
fn preconditions_are_checked_after_a_read_and_before_a_claim() {
    let mut story = rollback();
    story.object.spec.preconditions = Some(Preconditions {
        state: None,
        executables: Some(ExecutableConditions { production: Some(99), legacy: None, development: None }),
    });
    assert_eq!(story.decide(), Step::Read);
    assert_eq!(written(story.just_read().decide()).reason, Some(Reason::PreconditionFailed));
}

#[test]
fn a_rollback_is_claimed_after_a_read_and_a_restore_without_one() {
    assert_eq!(rollback().decide(), Step::Read);
    assert!(matches!(rollback().just_read().decide(), Step::Claim(_)));
    assert!(matches!(restore().decide(), Step::Claim(_)));
}
