//! Claims: what they store, how long they last, and how they are released.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fixtures::*;
use crate::api::{InFlight, MigrationRollback, Reason};
use crate::cde::model::Field;
use crate::operation::{Release, Step, release_claim, strip_result};

#[test]
fn a_claim_stores_holder_attempt_end_server_and_state_before() {
    let story = rollback().claimed(7);
    let operation = story.operation();
    let claim = InFlight { holder: ME.to_owned(), attempt: 1, until: Time(at(7 + CLAIM)) };
    assert_eq!(operation.in_flight.as_ref(), Some(&claim));
    assert_eq!((operation.attempts, operation.backoff_step, operation.unknown_attempts), (1, 0, 0));
    assert_eq!(operation.last_attempt_time.as_ref().unwrap().0, at(7));
    assert_eq!(operation.server.as_deref(), Some(SERVER));
    assert_eq!(story.reason(), Reason::InProgress);
    let before = story.status().result.before.as_ref().unwrap();
    assert_eq!(before.state.as_deref(), Some("synchronized-to-prod"));
    assert_eq!((before.executables.legacy, before.executables.production), (Some(24), Some(25)));
    assert_eq!(before.platform_connectors.production, Some(5));
}

#[test]
fn a_claim_in_whole_seconds_lasts_at_least_as_long_as_a_call() {
    let mut story = rollback();
    story.now = at(7) + Duration::from_millis(999);
    story.settings.timeout = Duration::from_millis(1500);
    let story = story.just_read();
    let Step::Claim(status) = story.decide() else { panic!("no claim") };
    let operation = status.operation.unwrap();
    assert_eq!(operation.last_attempt_time.unwrap().0, at(7));
    assert_eq!(operation.in_flight.unwrap().until.0, at(7 + 7));
}

#[test]
fn a_rollback_costs_two_writes_one_read_and_one_call_and_a_restore_no_read() {
    let story = rollback().answered(rolled_back()).settled();
    assert_eq!((story.writes, story.reads, story.calls.len(), story.events.len()), (2, 1, 1, 1));
    let story = restore().answered(restored()).settled();
    assert_eq!((story.writes, story.reads, story.calls.len(), story.events.len()), (2, 0, 1, 1));
}

#[test]
fn a_claim_is_waited_out_by_the_time_since_it_was_first_seen() {
    for second in [-3600, 0, 20, 3600] {
        let story = rollback().claimed(0).taken_over().clock(second);
        let step = |seen| story.clone().seen_for(seen).decide();
        assert_eq!(step(0), Step::Wait(Some(Duration::from_secs(35))), "{second}");
        assert_eq!(step(34), Step::Wait(Some(Duration::from_secs(1))), "{second}");
        assert_eq!(step(35), Step::Read, "{second}");
    }
}

#[test]
fn a_claim_of_an_earlier_start_is_waited_out_too() {
    let story = rollback().claimed(0).seen_for(3);
    assert_eq!(story.decide(), Step::Wait(Some(Duration::from_secs(32))));
}

#[test]
fn a_claim_lasts_as_long_as_it_says_unless_that_is_absurd() {
    for (length, waited) in [(10, 10), (3600, 3600), (3601, 35), (0, 35), (-5, 35), (100 * DAY, 35)] {
        let mut story = rollback().claimed(0).taken_over();
        let operation = story.object.status.as_mut().unwrap().operation.as_mut().unwrap();
        operation.in_flight.as_mut().unwrap().until = Time(at(length));
        assert_eq!(story.decide(), Step::Wait(Some(Duration::from_secs(waited))), "{length}");
    }
    let mut story = rollback().claimed(0).taken_over();
    story.object.status.as_mut().unwrap().operation.as_mut().unwrap().last_attempt_time = None;
    assert_eq!(story.decide(), Step::Wait(Some(Duration::from_secs(35))));
}

#[test]
fn an_attempt_of_a_crashed_process_is_verified_before_it_is_repeated() {
    let crashed = || rollback().claimed(0).taken_over().clock(40).seen_for(35);
    let done = crashed().reads(connector().production(Field::Value(24))).settled();
    assert_eq!(
        (done.reason(), done.operation().attempts, done.operation().unknown_attempts),
        (Reason::RolledBack, 1, 1)
    );
    let again = crashed().answered(rolled_back()).settled();
    assert_eq!((again.reason(), again.operation().attempts, again.calls.len()), (Reason::RolledBack, 2, 1));
}

#[test]
fn after_two_crashes_a_read_is_compared_with_the_first_before() {
    let story = rollback().claimed(0).taken_over().clock(40).seen_for(35);
    let story = story.reads(connector().with(|v| v.development_executable = Field::Value(1))).claimed(40);
    assert_eq!(story.operation().unknown_attempts, 1);
    assert_eq!(story.status().result.before.as_ref().unwrap().executables.development, None);
    let story = story.taken_over().clock(80).seen_for(35).answered(rolled_back()).settled();
    assert_eq!((story.operation().attempts, story.operation().unknown_attempts), (3, 2));
}

#[test]
fn a_claim_for_another_base_url_is_left_alone_however_old_it_is() {
    let story = rollback().claimed(0).failed(500, 1).elsewhere().taken_over().clock(4000).seen_for(4000);
    assert_eq!(story.decide(), Step::NotOurs { server: SERVER.to_owned() });
    assert!(
        matches!(rollback().elsewhere().just_read().decide(), Step::Claim(_)),
        "an unclaimed request belongs to any operator"
    );
}

#[test]
fn a_released_claim_had_no_effect_and_its_attempt_stays_counted() {
    let mut story = rollback().claimed(0);
    story.observed.claim_unsent = true;
    let story = story.held().settled();
    let operation = story.operation();
    assert_eq!((&operation.in_flight, operation.attempts, operation.unknown_attempts), (&None, 1, 0));
    assert_eq!((story.reason(), story.writes), (Reason::OnHold, 2));
    let mut story = story.answered(rolled_back());
    story.observed.on_hold = false;
    assert_eq!(story.settled().reason(), Reason::RolledBack);
}

#[test]
fn a_released_claim_leaves_an_earlier_attempt_to_be_verified() {
    let mut story = rollback().claimed(0).failed(500, 1).claimed(10);
    let status = release_claim(&story.object, Release::Stopping, at(11), &story.settings, 1.0);
    story.store(status);
    assert_eq!((story.reason(), story.operation().unknown_attempts), (Reason::Verifying, 1));
    assert_eq!(story.decide(), Step::Read);
}

#[test]
fn a_claim_that_was_stored_too_late_is_released_and_waits_for_a_backoff() {
    let mut story = rollback().claimed(0);
    let release = |story: &Story<MigrationRollback>, second| {
        release_claim(&story.object, Release::TooLate, at(second), &story.settings, 1.0)
    };
    let status = release(&story, 6);
    story.store(status);
    let operation = story.operation();
    assert_eq!((&operation.in_flight, operation.attempts, operation.unknown_attempts), (&None, 1, 0));
    assert_eq!((story.reason(), story.next()), (Reason::Retrying, Some(at(7))));
    assert!(story.message().contains("took too long to store the claim"), "{}", story.message());
    let mut again = story.clock(7).claimed(7);
    let status = release(&again, 13);
    again.store(status);
    assert_eq!(again.next(), Some(at(15)), "the backoff grows");
}

#[test]
fn the_next_write_releases_a_claim_on_which_nothing_was_sent() {
    let story = rollback().reading_fails(status(403)).claimed(0);
    let mut waits = story.clone().clock(100).seen_for(100);
    waits.observed.claim_unsent = true;
    let waits = waits.suspended().settled();
    assert_eq!((waits.reason(), waits.operation().unknown_attempts), (Reason::Suspended, 0));
    assert_eq!(waits.operation().in_flight, None);
    let mut again = story.clone();
    again.observed.claim_unsent = true;
    let again = again.answered(rolled_back()).settled();
    assert_eq!((again.reason(), again.operation().attempts), (Reason::RolledBack, 2));
    let story = story.clock(40).seen_for(40).settled();
    assert_eq!(story.reason(), Reason::OutcomeUnknown, "another process may have sent something");
}

#[test]
fn a_success_recorded_over_a_later_claim_keeps_its_attempt_count() {
    let mut late = rollback().claimed(0);
    let success = late.respond(Ok(&rolled_back().unwrap()));
    late = late.taken_over().clock(40).seen_for(35).claimed(40);
    assert_eq!(late.operation().attempts, 2);
    late.record(&success);
    let story = late;
    assert_eq!((story.reason(), story.operation().attempts), (Reason::RolledBack, 2));
}

#[test]
fn a_stripped_status_keeps_its_outcome() {
    let story: Story<MigrationRollback> = rollback().claimed(0).succeeded(1);
    let bare = strip_result(story.status());
    assert_eq!((bare.state, bare.result), (None, crate::api::RollbackResult::default()));
    assert_eq!((bare.outcome, &bare.operation), (story.outcome(), &story.status().operation));
}

#[test]
fn the_same_values_give_the_same_step() {
    for story in
        [rollback(), rollback().claimed(0), rollback().claimed(0).failed(500, 1), rollback().suspended()]
    {
        let story = story.just_read();
        assert_eq!(story.decide(), story.decide());
    }
}

#[test]
fn a_claim_stored_too_late_keeps_the_error_of_an_attempt_to_verify() {
    let release = |story: Story<MigrationRollback>| {
        let status = release_claim(&story.object, Release::TooLate, story.now, &story.settings, 1.0);
        let error = status.operation.unwrap().last_error.unwrap();
        (status.reason.unwrap(), error.code, error.message.contains("nothing was sent"))
    };
    let unknown = rollback().claimed(0).failed(500, 1).clock(40).just_read().claimed(40);
    assert_eq!(release(unknown), (Reason::Verifying, Some(500), false));
    assert_eq!(release(rollback().claimed(0)), (Reason::Retrying, None, true));
}
