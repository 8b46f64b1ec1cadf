//! `notAfter`, deadlines and stale objects.

use std::time::Duration;

use super::fixtures::*;
use crate::api::{Outcome, Reason};
use crate::operation::Step;

#[test]
fn no_attempt_begins_from_not_after_on() {
    assert_eq!(
        rollback().not_after(100).clock(99).answered(rolled_back()).settled().reason(),
        Reason::RolledBack
    );
    for second in [100, 101, DAY - 1] {
        let story = rollback().not_after(100).clock(second).settled();
        assert_eq!((story.reason(), story.outcome()), (Reason::Expired, Some(Outcome::Failed)), "{second}");
    }
}

#[test]
fn the_deadline_time_is_the_earlier_limit_until_the_request_is_finished() {
    let deadline = |story: &Story<_>| story.status().deadline_time.clone().map(|time| time.0);
    let waiting = rollback().behind("another").not_after(100).settled();
    assert_eq!(deadline(&waiting), Some(at(100)), "notAfter");
    let waiting = rollback().behind("another").not_after(2 * DAY).settled();
    assert_eq!(deadline(&waiting), Some(at(DAY)), "--deadline");
    let mut done = waiting;
    done.observed.ahead = None;
    assert_eq!(deadline(&done.answered(rolled_back()).settled()), None);
    assert_eq!(deadline(&rollback().not_after(100).clock(100).settled()), None);
}

#[test]
fn an_expired_request_names_its_limit_and_its_last_error() {
    let expired = rollback().not_after(100).clock(100).settled();
    let sentence = "Expired: no attempt succeeded before 2026-11-20T08:01:40Z (spec.notAfter).";
    assert_eq!(expired.message(), sentence);
    let failed = rollback().not_after(100).claimed(0).failed(423, 1).clock(100).settled();
    assert_eq!(
        failed.message(),
        format!("{sentence} Last error: the CDE API answered 423: the API's message.")
    );
    let late = rollback().not_after(2 * DAY).clock(DAY).settled();
    assert_eq!(late.message(), "Deadline exceeded: no attempt succeeded before 2026-11-21T08:00:00Z.");
}

#[test]
fn limits_are_exact_to_fractions_of_a_second() {
    let mut story = rollback().not_after(100).clock(99);
    story.now += Duration::from_millis(999);
    assert_eq!(story.decide(), Step::Read);
    story.now += Duration::from_millis(1);
    assert_eq!(written(story.decide()).reason, Some(Reason::Expired));
}

#[test]
fn an_object_created_over_a_day_after_its_not_after_is_skipped() {
    for (not_after, reason) in [
        (-DAY - 1, Reason::Skipped),
        (-10 * DAY, Reason::Skipped),
        (-DAY, Reason::Expired),
        (-1, Reason::Expired),
        (0, Reason::Expired),
    ] {
        let story = rollback().not_after(not_after).settled();
        assert_eq!((story.reason(), story.calls.len(), story.writes), (reason, 0, 1), "{not_after}");
        let restore = restore().not_after(not_after).settled();
        assert_eq!(restore.reason(), reason, "{not_after}");
        let green = story.status().conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        assert_eq!(green, reason == Reason::Skipped);
    }
}

#[test]
fn an_object_created_before_its_not_after_expires_however_late() {
    assert_eq!(rollback().not_after(10).clock(30 * DAY).settled().reason(), Reason::Expired);
}

#[test]
fn a_request_with_an_attempt_is_never_skipped_as_stale() {
    let story = rollback().claimed(0).failed(423, 1).not_after(-2 * DAY).clock(10).settled();
    assert_eq!(story.reason(), Reason::Expired);
}

#[test]
fn the_deadline_of_the_object_goes_before_the_configured_one() {
    for (own, configured, second, over) in [
        (None, Some(24), DAY - 1, false),
        (None, Some(24), DAY, true),
        (Some(60), Some(24), 59, false),
        (Some(60), Some(24), 60, true),
        (Some(2 * DAY), Some(24), DAY + 1, false),
        (None, None, 6 * DAY, false),
        (Some(60), None, 60, true),
    ] {
        let mut story = rollback().clock(second);
        story.settings.deadline = configured.map(Duration::from_hours);
        if let Some(own) = own {
            story = story.active_deadline(own);
        }
        let ends =
            matches!(story.decide(), Step::Write(status) if status.reason == Some(Reason::DeadlineExceeded));
        assert_eq!(ends, over, "{own:?} {configured:?} {second}");
    }
}

#[test]
fn a_wait_ends_no_later_than_the_earliest_limit() {
    let mut story = rollback().not_after(100).active_deadline(60).suspended();
    assert_eq!(story.run(), Step::Wait(Some(Duration::from_mins(1))));
    assert_eq!(story.waited().reason(), Reason::DeadlineExceeded);
    let far = asking(3000, status(429));
    let story = rollback().active_deadline(60).answered(Err(far)).settled();
    assert_eq!(story.next(), Some(at(3000)));
    assert_eq!(story.waited().reason(), Reason::DeadlineExceeded);
}

#[test]
fn without_a_limit_a_wait_for_another_request_has_no_end_time() {
    let mut story = restore().suspended();
    story.settings.deadline = None;
    assert_eq!(story.run(), Step::Wait(None));
}

#[test]
fn an_expired_request_keeps_its_last_error() {
    let story = rollback().claimed(0).failed(429, 1).not_after(5).clock(10).settled();
    assert_eq!(story.reason(), Reason::Expired);
    assert!(story.message().contains("the API's message"), "{}", story.message());
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(429));
}

#[test]
fn an_outcome_after_the_limit_is_recorded() {
    let story = rollback().not_after(10).claimed(9).succeeded(20);
    assert_eq!(story.reason(), Reason::RolledBack);
}
