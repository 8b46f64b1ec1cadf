//! `notAfter`, deadlines, and history replayed.

use std::time::Duration;

use super::fixtures::*;
use crate::api::{Outcome, Reason};
use crate::operation::Step;

#[test]
fn an_attempt_begins_until_not_after_and_not_from_then_on() {
    assert_eq!(
        rollback().not_after(100).clock(99).answered(rolled_back()).told().reason(),
        Reason::RolledBack
    );
    for second in [100, 101, DAY - 1] {
        let story = rollback().not_after(100).clock(second).told();
        assert_eq!((story.reason(), story.outcome()), (Reason::Expired, Some(Outcome::Failed)), "{second}");
    }
}

#[test]
fn the_deadline_time_is_the_earlier_limit_until_the_request_is_finished() {
    let deadline = |story: &Story<_>| story.status().deadline_time.clone().map(|time| time.0);
    let waiting = rollback().behind("another").not_after(100).told();
    assert_eq!(deadline(&waiting), Some(at(100)), "notAfter");
    let waiting = rollback().behind("another").not_after(2 * DAY).told();
    assert_eq!(deadline(&waiting), Some(at(DAY)), "--deadline");
    let mut done = waiting;
    done.observed.ahead = None;
    assert_eq!(deadline(&done.answered(rolled_back()).told()), None);
    assert_eq!(deadline(&rollback().not_after(100).clock(100).told()), None);
}

#[test]
fn a_request_that_ran_out_of_time_says_which_limit_it_was_and_why_no_attempt_succeeded() {
    let expired = rollback().not_after(100).clock(100).told();
    let sentence = "Expired: no attempt succeeded before 2026-11-20T08:01:40Z (spec.notAfter).";
    assert_eq!(expired.message(), sentence);
    let failed = rollback().not_after(100).claimed(0).failed(423, 1).clock(100).told();
    assert_eq!(
        failed.message(),
        format!("{sentence} Last error: the CDE API answered 423: the API's message.")
    );
    let late = rollback().not_after(2 * DAY).clock(DAY).told();
    assert_eq!(late.message(), "Deadline exceeded: no attempt succeeded before 2026-11-21T08:00:00Z.");
}

#[test]
fn a_fraction_of_a_second_counts() {
    let mut story = rollback().not_after(100).clock(99);
    story.now += Duration::from_millis(999);
    assert_eq!(story.decide(), Step::Read);
    story.now += Duration::from_millis(1);
    assert_eq!(written(story.decide()).reason, Some(Reason::Expired));
}

#[test]
fn an_object_created_more_than_a_day_after_its_own_not_after_is_skipped_and_green() {
    for (not_after, reason) in [
        (-DAY - 1, Reason::Skipped),
        (-10 * DAY, Reason::Skipped),
        (-DAY, Reason::Expired),
        (-1, Reason::Expired),
        (0, Reason::Expired),
    ] {
        let story = rollback().not_after(not_after).told();
        assert_eq!((story.reason(), story.calls.len(), story.writes), (reason, 0, 1), "{not_after}");
        let restore = restore().not_after(not_after).told();
        assert_eq!(restore.reason(), reason, "{not_after}");
        let green = story.status().conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        assert_eq!(green, reason == Reason::Skipped);
    }
}

#[test]
fn an_object_that_only_waited_past_its_not_after_is_expired_however_late_it_is() {
    assert_eq!(rollback().not_after(10).clock(30 * DAY).told().reason(), Reason::Expired);
}

#[test]
fn a_request_that_has_called_is_no_history_whatever_its_not_after_is_edited_to() {
    let story = rollback().claimed(0).failed(423, 1).not_after(-2 * DAY).clock(10).told();
    assert_eq!(story.reason(), Reason::Expired);
}

#[test]
fn the_deadline_is_the_objects_own_or_else_the_configured_one_or_none() {
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
fn a_wait_ends_at_the_earliest_limit_at_the_latest() {
    let mut story = rollback().not_after(100).active_deadline(60).suspended();
    assert_eq!(story.run(), Step::Wait(Some(Duration::from_mins(1))));
    assert_eq!(story.waited().reason(), Reason::DeadlineExceeded);
    let far = asking(3000, status(429));
    let story = rollback().active_deadline(60).answered(Err(far)).told();
    assert_eq!(story.next(), Some(at(3000)));
    assert_eq!(story.waited().reason(), Reason::DeadlineExceeded);
}

#[test]
fn without_any_limit_a_wait_for_others_has_no_end_of_its_own() {
    let mut story = restore().suspended();
    story.settings.deadline = None;
    assert_eq!(story.run(), Step::Wait(None));
}

#[test]
fn what_failed_last_is_told_when_the_time_is_over() {
    let story = rollback().claimed(0).failed(429, 1).not_after(5).clock(10).told();
    assert_eq!(story.reason(), Reason::Expired);
    assert!(story.message().contains("the API's message"), "{}", story.message());
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(429));
}

#[test]
fn an_outcome_that_comes_after_the_limit_is_recorded() {
    let story = rollback().not_after(10).claimed(9).succeeded(20);
    assert_eq!(story.reason(), Reason::RolledBack);
}
