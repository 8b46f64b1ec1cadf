//! Waits: how long, by which clock, and what they say.

use std::time::Duration;

use super::fixtures::*;
use crate::api::Reason;
use crate::operation::Step;

fn seconds(seconds: u64) -> Step<crate::api::RollbackResult> {
    Step::Wait(Some(Duration::from_secs(seconds)))
}

#[test]
fn each_class_of_answer_is_waited_for_under_its_own_reason() {
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
fn the_wait_grows_with_each_failure_and_is_forgotten_by_no_restart() {
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
fn a_slow_server_is_not_raced() {
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
fn a_slow_server_is_not_raced_by_a_clock_set_forward_nor_by_another_machines() {
    let story = || rollback().claimed(0).failing(&no_answer(), 5);
    assert_eq!(story().clock(3600).seen_for(1).decide(), seconds(29));
    assert_eq!(story().taken_over().clock(3600).decide(), seconds(30));
    assert_eq!(story().clock(3600).seen_for(30).decide(), Step::Read);
    let long = rollback().claimed(0).failing(&asking(3000, status(502)), 5).taken_over().clock(7200);
    assert_eq!(long.decide(), seconds(35), "as long as a claim lasts, not as the API asked for");
}

#[test]
fn a_slow_server_is_not_raced_where_the_clock_was_set_during_the_call() {
    for set_to in [3600, -3600] {
        let story = rollback().claimed(0).claim_left(30).failing(&no_answer(), set_to);
        assert_eq!(story.next(), Some(at(set_to + 30)), "{set_to}");
        assert_eq!(story.seen_for(29).clock(7200).decide(), seconds(1), "{set_to}");
    }
}

#[test]
fn a_clock_set_back_does_not_make_a_wait_last_for_ever() {
    for failure in [status(423), status(500), no_answer(), asking(61, status(429))] {
        let story = rollback().claimed(0).failing(&failure, 1);
        let length = u64::try_from(story.next().unwrap().duration_since(at(1)).as_secs()).unwrap();
        let back = story.clock(-3600);
        assert_eq!(back.clone().seen_for(length - 1).decide(), seconds(1), "{failure:?}");
        assert_eq!(back.seen_for(length).decide(), Step::Read, "{failure:?}");
    }
}

#[test]
fn setting_the_clock_neither_hurries_nor_delays_a_wait_that_was_seen_to_begin() {
    for set in [3600, 0, -3600] {
        let story = || rollback().claimed(0).failing(&asking(61, status(423)), 1).told();
        assert_eq!(story().clock(11).seen_for(10).clock_set(set).decide(), seconds(50), "{set}");
        assert_eq!(story().clock(61).seen_for(60).clock_set(set).decide(), Step::Read, "{set}");
    }
}

#[test]
fn a_clock_set_back_while_verifying_costs_no_more_than_the_wait_that_was_set() {
    let moving = connector().state("resynchronizing-to-prod");
    let story = rollback().claimed(0).failed(500, 1).clock(1000).reads(moving).told();
    assert_eq!(story.next(), Some(at(1002)));
    assert_eq!(story.clock(-3600).seen_for(2).decide(), Step::Read);
}

#[test]
fn an_operator_whose_clock_is_behind_does_not_hurry_over_what_another_one_left() {
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
fn a_wait_within_a_second_is_as_long_as_it_says() {
    let mut story = rollback().answered(Err(status(423)));
    story.now += Duration::from_millis(900);
    story.observed.jitter = 0.5;
    let Step::Wait(Some(wait)) = story.run() else { panic!("no wait") };
    assert_eq!(wait, Duration::from_millis(1100));
    assert_eq!(story.next(), Some(at(2)));
}

#[test]
fn a_refused_token_is_waited_for_without_a_time_and_without_another_write() {
    let mut story = rollback().answered(Err(status(401)));
    story.run_to_record();
    let story = story.held().told();
    assert_eq!(
        (story.reason(), story.next(), story.operation().unknown_attempts),
        (Reason::TokenRejected, None, 0)
    );
    assert_eq!(story.writes, 2);
}

#[test]
fn a_token_that_was_replaced_brings_the_next_attempt_at_once_under_its_own_claim() {
    let mut story = rollback().answered(rolled_back()).claimed(0);
    story.observed.token_changed = true;
    let refused = story.respond(Err(&status(401)));
    story.record(&refused);
    let story = story.told();
    assert_eq!((story.reason(), story.operation().attempts), (Reason::RolledBack, 2));
    assert_eq!(
        (story.operation().backoff_step, story.writes),
        (0, 4),
        "each claim and each outcome is stored"
    );
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(401));
}

#[test]
fn a_read_that_fails_before_an_attempt_is_waited_for_like_a_call() {
    for (failure, reason) in [
        (status(500), Reason::Retrying),
        (no_answer(), Reason::Retrying),
        (asking(50, status(429)), Reason::Retrying),
    ] {
        let story = rollback().reading_fails(failure.clone()).told();
        assert_eq!((story.reason(), story.operation().attempts), (reason, 0), "{failure:?}");
        let next = failure.retry_at.unwrap_or(at(1));
        assert_eq!((story.next(), story.operation().unknown_attempts), (Some(next), 0));
    }
    let mut story = rollback().reading_fails(status(401)).just_read();
    story.run_one();
    assert_eq!((story.reason(), story.next()), (Reason::TokenRejected, None));
}

#[test]
fn who_waits_for_its_turn_or_is_held_says_so_and_goes_on_when_it_ends() {
    let mut story = rollback().behind("MigrationRollback ns/first").told();
    assert_eq!((story.reason(), story.writes), (Reason::Queued, 1));
    assert!(story.message().contains("MigrationRollback ns/first"));
    story.observed.ahead = None;
    let mut story = story.held().told();
    assert_eq!((story.reason(), story.writes), (Reason::OnHold, 2));
    story.observed.on_hold = false;
    assert_eq!(story.answered(rolled_back()).told().reason(), Reason::RolledBack);
}

#[test]
fn a_wait_in_the_queue_is_written_once_however_the_queue_moves() {
    let mut story = rollback().behind("MigrationRollback ns/first").told();
    story.observed.ahead = Some("MigrationRollback ns/second".to_owned());
    let story = story.told();
    assert_eq!((story.reason(), story.writes), (Reason::Queued, 1));
    assert!(story.message().contains("ns/first"), "{}", story.message());
}

#[test]
fn who_waits_for_a_reason_of_its_own_keeps_saying_so_while_calls_are_held() {
    for story in [
        rollback().claimed(0).failed(423, 1),
        rollback().claimed(0).failed(500, 1),
        rollback().claimed(0).failed(401, 1),
    ] {
        let (reason, writes) = (story.reason(), story.writes);
        let story = story.clock(100).held().told();
        assert_eq!((story.reason(), story.writes, story.reads), (reason, writes, 0));
    }
}

#[test]
fn suspending_and_resuming_changes_what_is_said_and_not_what_is_waited_for() {
    let mut story = rollback().claimed(0).failing(&asking(100, status(423)), 1).suspended().clock(10).told();
    assert_eq!((story.reason(), story.next()), (Reason::Suspended, Some(at(100))));
    story.object.spec.suspend = None;
    let story = story.clock(20).told();
    assert_eq!((story.reason(), story.next()), (Reason::Retrying, Some(at(100))));
    assert!(story.message().contains("423"), "{}", story.message());
}
