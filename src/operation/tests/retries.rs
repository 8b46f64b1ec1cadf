//! The retry annotation.

use std::time::Duration;

use super::fixtures::*;
use crate::api::{MigrationRollback, Outcome, Reason};
use crate::operation::{InvalidRetry, Step, invalid_retry};

/// A rollback that failed at second 1.
fn failed() -> Story<MigrationRollback> {
    rollback().claimed(0).failed(400, 1)
}

#[test]
fn a_failed_request_is_not_repeated_by_itself_nor_by_an_edit() {
    assert_eq!(failed().clock(DAY * 3).decide(), Step::Rest);
    let story = failed().edited().settled();
    assert_eq!((story.reason(), story.calls.len()), (Reason::OperationNotAllowed, 0));
}

#[test]
fn a_retry_of_a_failed_request_opens_a_new_one() {
    let old = failed();
    let story = old.clone().retry_asked(100).clock(120).claimed(120);
    let (was, is) = (old.operation(), story.operation());
    assert_ne!(was.id, is.id);
    assert_eq!((is.attempts, is.backoff_step, is.unknown_attempts), (1, 0, 0));
    assert_eq!(is.start_time.as_ref().unwrap().0, at(120));
    assert_eq!((&is.completion_time, &is.last_error, story.outcome()), (&None, &None, None));
    assert_eq!(story.status().last_handled_retry.as_ref().unwrap().0, at(100));
}

#[test]
fn a_new_request_reads_and_resolves_again() {
    use crate::cde::model::{Connector, Field};
    let moved = Connector {
        main_version_number: Field::Value(2),
        ..versions([version("1.0.0"), version("2.0.0").production(Field::Value(40))])
    };
    let story = failed().reads(moved).retry_asked(100).claimed(120);
    assert_eq!(story.status().result.resolved_version.as_ref().unwrap().major, 2);
    assert_eq!(story.status().result.before.as_ref().unwrap().executables.production, Some(40));
}

#[test]
fn a_new_request_has_a_deadline_of_its_own() {
    let story = failed().active_deadline(60).retry_asked(5000);
    assert_eq!(story.clone().clock(5000).decide(), Step::Read);
    let story = story.suspended().clock(5000).settled();
    assert_eq!(story.clone().clock(5059).settled().reason(), Reason::Suspended);
    assert_eq!(story.clock(5060).settled().reason(), Reason::DeadlineExceeded);
}

#[test]
fn a_retry_reopens_a_request_of_unknown_outcome() {
    let story = rollback().claimed(0).failed(500, 1).clock(10).reading_fails(status(403)).settled();
    assert_eq!(story.outcome(), Some(Outcome::Unknown));
    let story = story.retry_asked(20).clock(30).answered(rolled_back()).settled();
    assert_eq!(story.reason(), Reason::RolledBack);
}

#[test]
fn a_retry_reopens_every_failure_and_no_final_outcome() {
    for code in [400, 403, 405] {
        let story = rollback().claimed(0).failed(code, 1).retry_asked(50).clock(60);
        assert_eq!(story.decide(), Step::Read, "{code}");
    }
    let done = rollback().claimed(0).succeeded(1);
    let skipped = rollback().not_after(-2 * DAY).settled();
    for story in [done, skipped] {
        assert_eq!(story.retry_asked(50).edited().clock(60).decide(), Step::Rest);
    }
}

#[test]
fn a_handled_or_older_retry_is_ignored() {
    let story = failed().retry_asked(100).clock(120).claimed(120).failed(400, 121).clock(200);
    assert_eq!(story.clone().decide(), Step::Rest);
    assert_eq!(story.clone().retry_asked(100).decide(), Step::Rest);
    assert_eq!(story.clone().retry_asked(99).decide(), Step::Rest);
    assert_eq!(story.retry_asked(101).decide(), Step::Read);
}

#[test]
fn alternating_retry_values_open_one_request() {
    let mut story = failed().retry_asked(100).clock(120).answered(Err(status(400))).settled();
    story.object.metadata.annotations = None;
    assert_eq!(story.decide(), Step::Rest);
    assert_eq!(story.retry_asked(100).decide(), Step::Rest);
}

#[test]
fn a_retry_time_may_have_an_offset_and_a_fraction() {
    let story = failed().annotated("2026-11-20T09:10:00.5+01:00").clock(600);
    assert_eq!(story.decide(), Step::Read);
    let story = story.claimed(700);
    assert_eq!(story.status().last_handled_retry.as_ref().unwrap().0, at(600));
}

#[test]
fn an_unreadable_retry_is_ignored_with_a_warning() {
    for value in ["", "now", "2026-11-20", "2026-11-20T08:00:00", "1763625600", "true"] {
        let story = failed().annotated(value).clock(60);
        assert_eq!(story.decide(), Step::Rest, "{value}");
        assert_eq!(invalid_retry(&story.object, story.now), Some((value, InvalidRetry::Unreadable)));
    }
    assert_eq!(invalid_retry(&failed().object, at(0)), None);
    assert_eq!(invalid_retry(&failed().retry_asked(1).object, at(0)), None);
}

#[test]
fn a_retry_over_five_minutes_ahead_is_ignored_and_disables_no_later_one() {
    let story = failed().retry_asked(3660).clock(60);
    assert_eq!(story.decide(), Step::Rest);
    assert!(matches!(invalid_retry(&story.object, story.now), Some((_, InvalidRetry::Ahead))));
    assert_eq!(story.status().last_handled_retry, None);
    assert_eq!(story.retry_asked(60).decide(), Step::Read);
    assert_eq!(failed().retry_asked(360).clock(60).decide(), Step::Read, "a clock may be a little fast");
}

#[test]
fn a_retry_ends_a_backoff_early() {
    let waiting = rollback().claimed(0).failing(&asking(300, status(423)), 1);
    assert_eq!(waiting.decide(), Step::Wait(Some(Duration::from_secs(299))));
    assert_eq!(waiting.retry_asked(5).clock(10).decide(), Step::Read);
}

#[test]
fn a_backoff_that_a_retry_ended_stays_ended() {
    let waiting = || rollback().claimed(0).failing(&asking(300, status(423)), 1).retry_asked(5).clock(10);
    for (what, story) in [("held", waiting().held()), ("turn", waiting().behind("another"))] {
        let mut story = story.settled();
        assert_eq!(story.status().last_handled_retry.as_ref().unwrap().0, at(5), "{what}");
        story.observed.on_hold = false;
        story.observed.ahead = None;
        assert_eq!(story.decide(), Step::Read, "{what}");
    }
    let mut story = waiting().suspended().settled();
    story.object.spec.suspend = None;
    assert_eq!(story.decide(), Step::Read);
}

#[test]
fn a_retry_does_not_shorten_a_wait_that_the_api_requested() {
    for code in [429, 503] {
        let mut story = rollback().claimed(0).failing(&asking(300, status(code)), 1).retry_asked(5).clock(10);
        assert_eq!(story.run(), Step::Wait(Some(Duration::from_secs(290))), "{code}");
        assert_eq!(story.next(), Some(at(300)), "{code}");
    }
}

#[test]
fn a_retry_never_shortens_the_wait_for_a_claim() {
    let mut claimed = rollback().claimed(0).retry_asked(5).clock(10).seen_for(10);
    assert_eq!(claimed.run(), Step::Wait(Some(Duration::from_secs(25))));
    assert_eq!(claimed.writes, 1, "nor is it handled by then");

    let mut raced = rollback().claimed(0).failing(&asking(300, status(502)), 1).retry_asked(5).clock(10);
    raced = raced.seen_for(9);
    assert_eq!(raced.run(), Step::Wait(Some(Duration::from_secs(26))));
    assert_eq!(raced.next(), Some(at(36)), "what is left of the claim's length");
    assert_eq!(raced.clone().clock(35).seen_for(34).decide(), Step::Wait(Some(Duration::from_secs(1))));
    assert_eq!(raced.clock(36).seen_for(35).decide(), Step::Read);
}

#[test]
fn the_first_write_handles_a_retry() {
    let mut story = rollback().claimed(0).failed(429, 1).retry_asked(5).suspended().clock(10);
    story.run();
    assert_eq!(story.status().last_handled_retry.as_ref().unwrap().0, at(5));
    let writes = story.writes;
    story.run();
    assert_eq!(story.writes, writes);
}

#[test]
fn a_record_handles_no_retry_newer_than_its_claim() {
    let story = rollback().claimed(0).retry_asked(5).answered(rolled_back());
    let mut failing = story.clone();
    let refused = failing.respond(Err(&status(400)));
    failing.record(&refused);
    assert_eq!(
        (failing.reason(), &failing.status().last_handled_retry),
        (Reason::OperationNotAllowed, &None)
    );
    assert_eq!(failing.clock(10).settled().reason(), Reason::RolledBack, "it opens a request of its own");
}

#[test]
fn a_retry_that_exists_from_the_start_changes_nothing() {
    let plain = rollback().claimed(0);
    let story = rollback().retry_asked(-100).claimed(0);
    assert_eq!(story.operation(), plain.operation());
    assert_eq!(story.status().last_handled_retry.as_ref().unwrap().0, at(-100));
    assert_eq!(story.failed(400, 1).decide(), Step::Rest);
}

#[test]
fn two_operators_give_the_same_request_the_same_id() {
    let one = rollback().claimed(0);
    let other = rollback().taken_over().claimed(40);
    assert_eq!(one.operation().id, other.operation().id);
    let again = |me: &'static str, second| {
        let mut story = failed().retry_asked(100);
        story.me = me;
        story.claimed(second).operation().id.clone()
    };
    assert_eq!(again("a", 120), again("b", 140));
    assert_ne!(again("a", 120), one.operation().id);
    let later = failed().retry_asked(101).claimed(120);
    assert_ne!(later.operation().id, again("a", 120));
}
