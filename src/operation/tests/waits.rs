//! Waits: their lengths, clocks and messages.

use std::time::Duration;

use super::fixtures::*;
use crate::api::Reason;
use crate::operation::Step;

fn seconds(seconds: u64) -> Step<crate::api::RollbackResult> {
    Step::Wait(Some(Duration::from_secs(seconds)))
}

#[test]
fn each_class_of_failure_has_its_own_waiting_reason() {
    for (what, failure, reason, unknown) in [
        ("not sent", not_sent(), Reason::Retrying, 0),
        ("423", status(423), Reason::Retrying, 0),
        ("425", status(425), Reason::Retrying, 0),
        ("429", status(429), Reason::Retrying, 0),
        ("no answer", no_answer(), Reason::Verifying, 1),
        ("408", status(408), Reason::Verifying, 1),
        ("409", status(409), Reason::Verifying, 1),
        ("500", status(500), Reason::Verifying, 1),
        ("503", status(503), Reason::Verifying, 1),
        ("302", status(302), Reason::Verifying, 1),
        ("unreadable", unreadable(), Reason::Verifying, 1),
    ] {
        let story = rollback().claimed(0).failing(&failure, 3);
        assert_eq!((story.reason(), story.operation().unknown_attempts), (reason, unknown), "{what}");
        assert_eq!((story.operation().backoff_step, story.outcome()), (1, None), "{what}");
        let error = story.operation().last_error.as_ref().unwrap();
        assert_eq!(
            (error.time.0, error.code, &error.message),
            (at(3), failure.code(), &failure.message),
            "{what}"
        );
        assert!(story.operation().in_flight.is_none(), "{what}");
    }
}

#[test]
fn the_backoff_grows_across_restarts() {
    let mut story = rollback();
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let begin = story.now.duration_since(at(0)).as_secs();
        story = story.claimed(begin).failed(423, begin).taken_over();
        assert_eq!(story.next(), Some(at(begin + wait)));
        story = story.clock(begin + wait);
    }
}

#[test]
fn the_next_attempt_is_never_earlier_than_asked() {
    for asked in [2, 60, 3600] {
        for jitter in [0.0, 1.0] {
            let mut story = rollback().claimed(0);
            story.observed.jitter = jitter;
            let story = story.failing(&asking(asked, status(429)), 1);
            assert_eq!(story.next(), Some(at(asked)));
            assert!(matches!(story.clock(asked - 1).decide(), Step::Wait(_)));
        }
    }
    let soon = rollback().claimed(0).failing(&asking(1, status(429)), 1);
    assert_eq!(soon.next(), Some(at(2)), "an earlier time does not shorten the backoff");
}

#[test]
fn a_time_with_a_fraction_is_rounded_up() {
    let mut failure = asking(5, status(429));
    failure.retry_at = failure.retry_at.map(|time| time + Duration::from_millis(1));
    assert_eq!(rollback().claimed(0).failing(&failure, 1).next(), Some(at(6)));
}

#[test]
fn no_attempt_follows_while_the_server_may_still_run_the_last_one() {
    for (failure, next) in [
        (no_answer(), CLAIM),
        (status(408), CLAIM),
        (status(502), CLAIM),
        (status(504), CLAIM),
        (asking(100, status(504)), 100),
        (status(500), 2),
        (status(503), 2),
        (status(409), 2),
        (unreadable(), 2),
    ] {
        let story = rollback().claimed(0).failing(&failure, 1);
        assert_eq!(story.next(), Some(at(next)), "{failure:?}");
    }
}

#[test]
fn a_clock_that_is_ahead_does_not_shorten_the_wait_for_the_server() {
    let story = || rollback().claimed(0).failing(&no_answer(), 5);
    assert_eq!(story().clock(3600).seen_for(1).decide(), seconds(29));
    assert_eq!(story().taken_over().clock(3600).decide(), seconds(30));
    assert_eq!(story().clock(3600).seen_for(30).decide(), Step::Read);
    let long = rollback().claimed(0).failing(&asking(3000, status(502)), 5).taken_over().clock(7200);
    assert_eq!(long.decide(), seconds(35), "as long as a claim lasts, not as the API asked for");
}

#[test]
fn a_clock_set_during_the_call_does_not_shorten_the_wait_for_the_server() {
    for set_to in [3600, -3600] {
        let story = rollback().claimed(0).claim_left(30).failing(&no_answer(), set_to);
        assert_eq!(story.next(), Some(at(set_to + 30)), "{set_to}");
        assert_eq!(story.seen_for(29).clock(7200).decide(), seconds(1), "{set_to}");
    }
}

#[test]
fn a_clock_set_back_does_not_prolong_a_wait() {
    for failure in [status(423), status(500), no_answer(), asking(61, status(429))] {
        let story = rollback().claimed(0).failing(&failure, 1);
        let length = u64::try_from(story.next().unwrap().duration_since(at(1)).as_secs()).unwrap();
        let back = story.clock(-3600);
        assert_eq!(back.clone().seen_for(length - 1).decide(), seconds(1), "{failure:?}");
        assert_eq!(back.seen_for(length).decide(), Step::Read, "{failure:?}");
    }
}

#[test]
fn setting_the_clock_does_not_change_an_observed_wait() {
    for set in [3600, 0, -3600] {
        let story = || rollback().claimed(0).failing(&asking(61, status(423)), 1).settled();
        assert_eq!(story().clock(11).seen_for(10).clock_set(set).decide(), seconds(50), "{set}");
        assert_eq!(story().clock(61).seen_for(60).clock_set(set).decide(), Step::Read, "{set}");
    }
}

#[test]
fn a_clock_set_back_does_not_prolong_a_verification() {
    let moving = connector().state("resynchronizing-to-prod");
    let story = rollback().claimed(0).failed(500, 1).clock(1000).reads(moving).settled();
    assert_eq!(story.next(), Some(at(1002)));
    assert_eq!(story.clock(-3600).seen_for(2).decide(), Step::Read);
}

#[test]
fn an_operator_whose_clock_is_behind_keeps_the_waits_of_another() {
    let moving = connector().state("resynchronizing-to-prod");
    let mut story = rollback().claimed(3600).taken_over().clock(0).seen_for(35).reads(moving);
    let step = story.run();
    assert_eq!((story.reason(), story.reads), (Reason::Verifying, 1));
    assert_eq!(step, seconds(1));
    let story = rollback().claimed(3600).failed(500, 3601).taken_over().clock(0).seen_for(1);
    let mut story = story.reading_fails(status(500));
    story.run();
    assert_eq!((story.reads, story.operation().backoff_step), (1, 2));
}

#[test]
fn a_wait_that_starts_within_a_second_has_its_full_length() {
    let mut story = rollback().answered(Err(status(423)));
    story.now += Duration::from_millis(900);
    story.observed.jitter = 0.5;
    let Step::Wait(Some(wait)) = story.run() else { panic!("no wait") };
    assert_eq!(wait, Duration::from_millis(1100));
    assert_eq!(story.next(), Some(at(2)));
}

#[test]
fn a_rejected_token_sets_no_time_and_costs_no_further_write() {
    let mut story = rollback().answered(Err(status(401)));
    story.run_to_record();
    let story = story.held().settled();
    assert_eq!(
        (story.reason(), story.next(), story.operation().unknown_attempts),
        (Reason::TokenRejected, None, 0)
    );
    assert_eq!(story.writes, 2);
}

#[test]
fn a_replaced_token_allows_the_next_attempt_at_once() {
    let mut story = rollback().answered(rolled_back()).claimed(0);
    story.observed.token_changed = true;
    let refused = story.respond(Err(&status(401)));
    story.record(&refused);
    let story = story.settled();
    assert_eq!((story.reason(), story.operation().attempts), (Reason::RolledBack, 2));
    assert_eq!(
        (story.operation().backoff_step, story.writes),
        (0, 4),
        "each claim and each outcome is stored"
    );
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(401));
}

#[test]
fn a_failed_read_before_an_attempt_has_a_backoff_like_a_call() {
    for (failure, reason) in [
        (status(500), Reason::Retrying),
        (no_answer(), Reason::Retrying),
        (asking(50, status(429)), Reason::Retrying),
    ] {
        let story = rollback().reading_fails(failure.clone()).settled();
        assert_eq!((story.reason(), story.operation().attempts), (reason, 0), "{failure:?}");
        let next = failure.retry_at.unwrap_or(at(1));
        assert_eq!((story.next(), story.operation().unknown_attempts), (Some(next), 0));
    }
    let mut story = rollback().reading_fails(status(401)).just_read();
    story.run_one();
    assert_eq!((story.reason(), story.next()), (Reason::TokenRejected, None));
}

#[test]
fn a_queued_or_held_request_continues_when_its_wait_ends() {
    let mut story = rollback().behind("MigrationRollback ns/first").settled();
    assert_eq!((story.reason(), story.writes), (Reason::Queued, 1));
    assert!(story.message().contains("MigrationRollback ns/first"));
    story.observed.ahead = None;
    let mut story = story.held().settled();
    assert_eq!((story.reason(), story.writes), (Reason::OnHold, 2));
    story.observed.on_hold = false;
    assert_eq!(story.answered(rolled_back()).settled().reason(), Reason::RolledBack);
}

#[test]
fn a_wait_in_the_queue_is_written_once() {
    let mut story = rollback().behind("MigrationRollback ns/first").settled();
    story.observed.ahead = Some("MigrationRollback ns/second".to_owned());
    let story = story.settled();
    assert_eq!((story.reason(), story.writes), (Reason::Queued, 1));
    assert!(story.message().contains("ns/first"), "{}", story.message());
}

#[test]
fn a_waiting_request_keeps_its_reason_while_calls_are_on_hold() {
    for story in [
        rollback().claimed(0).failed(423, 1),
        rollback().claimed(0).failed(500, 1),
        rollback().claimed(0).failed(401, 1),
    ] {
        let (reason, writes) = (story.reason(), story.writes);
        let story = story.clock(100).held().settled();
        assert_eq!((story.reason(), story.writes, story.reads), (reason, writes, 0));
    }
}

#[test]
fn a_request_that_waits_for_a_login_says_so_whatever_it_waited_for_before() {
    let message = "The CDE login has expired or was revoked: run `kubectl cde login`.";
    for story in [
        rollback(),
        rollback().claimed(0).failed(423, 1),
        rollback().claimed(0).failed(500, 1),
        rollback().claimed(0).failed(401, 1),
        rollback().held().settled(),
    ] {
        let writes = story.writes;
        let mut story = story.clock(100).held();
        story.observed.login_required = Some(message.into());
        let mut story = story.settled();
        assert_eq!((story.reason(), story.writes, story.reads), (Reason::LoginRequired, writes + 1, 0));
        assert_eq!(story.message(), message);
        story.observed.login_required = None;
        story.observed.on_hold = false;
        assert_eq!(story.answered(rolled_back()).settled().reason(), Reason::RolledBack);
    }
}

#[test]
fn suspending_and_resuming_does_not_change_a_wait() {
    let mut story =
        rollback().claimed(0).failing(&asking(100, status(423)), 1).suspended().clock(10).settled();
    assert_eq!((story.reason(), story.next()), (Reason::Suspended, Some(at(100))));
    story.object.spec.suspend = None;
    let story = story.clock(20).settled();
    assert_eq!((story.reason(), story.next()), (Reason::Retrying, Some(at(100))));
    assert!(story.message().contains("423"), "{}", story.message());
}
