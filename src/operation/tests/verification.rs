//! Verification of a rollback: the documented table, row by row.

use super::fixtures::*;
use crate::api::{Evidence, MigrationRollback, Outcome, Reason};
use crate::cde::model::{Connector, Field};
use crate::operation::Step;

/// An attempt that got 500 and may be verified now.
fn unknown() -> Story<MigrationRollback> {
    rollback().claimed(0).failed(500, 1).clock(10)
}

/// The reason after a read of this connector; `None` for the next attempt.
fn verdict(story: Story<MigrationRollback>, connector: Connector) -> Option<Reason> {
    match story.reads(connector).just_read().decide() {
        Step::Claim(_) => None,
        step => written(step).reason,
    }
}

#[test]
fn only_a_change_of_a_compared_field_is_a_success() {
    use Field::{Missing, Null, Value};
    let effect = Some(Reason::RolledBack);
    for (what, connector, expected) in [
        ("production executable", connector().production(Value(24)), effect),
        ("production executable gone", connector().production(Null), effect),
        ("production platform connector", connector().platform(Value(6)), effect),
        ("production platform connector gone", connector().platform(Null), effect),
        ("legacy executable", connector().legacy(Value(23)), effect),
        ("legacy executable gone", connector().legacy(Null), effect),
        (
            "a change while the state moves",
            connector().production(Value(24)).state("resynchronizing-to-prod"),
            effect,
        ),
        (
            "a change, and the rest missing",
            connector().production(Value(24)).legacy(Missing).platform(Missing),
            effect,
        ),
        ("production executable missing", connector().production(Missing), Some(Reason::Verifying)),
        ("platform connector missing", connector().platform(Missing), Some(Reason::Verifying)),
        ("legacy executable missing", connector().legacy(Missing), Some(Reason::Verifying)),
        ("state missing", connector().with(|v| v.state = Missing), Some(Reason::Verifying)),
        ("state null", connector().with(|v| v.state = Null), Some(Reason::Verifying)),
        (
            "another connector",
            Connector { id: Value("other".into()), ..connector() },
            Some(Reason::Verifying),
        ),
        ("no list of versions", Connector { versions: Missing, ..connector() }, Some(Reason::Verifying)),
        ("a version without a number", versions([version("1.0.0"), version("one")]), None),
        (
            "a version 1 without a number",
            versions([version("1.0.0"), version("1.x")]),
            Some(Reason::Verifying),
        ),
        ("development values", connector().with(|v| v.development_executable = Value(7)), None),
        ("development connector", connector().with(|v| v.development_platform_connector = Value(7)), None),
        ("nothing", connector(), None),
    ] {
        assert_eq!(verdict(unknown(), connector), expected, "{what}");
    }
}

#[test]
fn every_state_except_the_five_settled_ones_is_waited_for() {
    for state in ["resynchronizing-to-prod", "synchronizing-to-dev", "building", "a-new-word", ""] {
        assert_eq!(verdict(unknown(), connector().state(state)), Some(Reason::Verifying), "{state}");
    }
    for state in ["created", "updated", "built", "synchronized-to-dev"] {
        assert_eq!(verdict(unknown(), connector().state(state)), Some(Reason::OutcomeUnknown), "{state}");
        let before = rollback().reads(connector().state(state)).claimed(0).failed(500, 1).clock(10);
        assert_eq!(verdict(before, connector().state(state)), None, "{state}");
    }
}

#[test]
fn a_change_from_null_to_a_value_is_an_effect() {
    let before = connector().legacy(Field::Null).production(Field::Null);
    let story = || rollback().reads(before.clone()).claimed(0).failed(500, 1).clock(10);
    assert_eq!(verdict(story(), before.clone()), None);
    assert_eq!(verdict(story(), before.clone().production(Field::Value(0))), Some(Reason::RolledBack));
}

#[test]
fn a_missing_or_replaced_version_ends_as_outcome_unknown() {
    assert_eq!(verdict(unknown(), versions([])), Some(Reason::OutcomeUnknown));
    assert_eq!(verdict(unknown(), versions([version("2.0.0")])), Some(Reason::OutcomeUnknown));
    let newer = versions([version("1.0.0"), version("1.0.1").production(Field::Value(30))]);
    assert_eq!(verdict(unknown(), newer), Some(Reason::OutcomeUnknown));
}

#[test]
fn an_observed_change_is_recorded_with_its_evidence() {
    let story = unknown().reads(connector().production(Field::Value(24)).state("built")).settled();
    assert_eq!(story.outcome(), Some(Outcome::Succeeded));
    assert_eq!(story.operation().evidence, Some(Evidence::ObservedChange));
    assert_eq!(story.operation().attempts, 1);
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(500));
    assert_eq!(story.status().state.as_deref(), Some("built"));
    assert_eq!(story.status().result.executables.as_ref().unwrap().production, Some(24));
    assert_eq!(story.status().result.before.as_ref().unwrap().executables.production, Some(25));
}

#[test]
fn without_a_read_before_the_attempt_the_outcome_is_unknown() {
    let story = rollback().reading_fails(status(403)).claimed(0).failed(500, 1).clock(10);
    assert_eq!(verdict(story, connector()), Some(Reason::OutcomeUnknown));
}

#[test]
fn an_attempt_without_a_read_does_not_keep_an_earlier_before() {
    let story = rollback().claimed(0).failed(429, 1).reading_fails(status(403)).claimed(10);
    assert_eq!(story.status().result.before, None);
    assert_eq!(verdict(story.failed(500, 11).clock(20), connector()), Some(Reason::OutcomeUnknown));
}

#[test]
fn a_refused_read_ends_as_outcome_unknown() {
    for code in [403, 404] {
        let story = unknown().reading_fails(status(code)).settled();
        assert_eq!(
            (story.reason(), story.outcome()),
            (Reason::OutcomeUnknown, Some(Outcome::Unknown)),
            "{code}"
        );
    }
}

#[test]
fn a_transient_read_failure_keeps_the_error_of_the_attempt() {
    for failure in [no_answer(), not_sent(), status(500), status(429), unreadable(), status(302)] {
        let story = unknown().reading_fails(failure.clone()).settled();
        assert_eq!(story.reason(), Reason::Verifying, "{failure:?}");
        assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(500), "{failure:?}");
        assert_eq!((story.operation().backoff_step, story.next()), (2, Some(at(12))), "{failure:?}");
        assert_eq!(story.reads(connector()).answered(rolled_back()).waited().reason(), Reason::RolledBack);
    }
}

#[test]
fn a_read_with_a_rejected_token_waits_for_another_token() {
    let story = unknown().reading_fails(status(401)).just_read();
    assert_eq!(written(story.decide()).reason, Some(Reason::TokenRejected));
    let mut changed = story;
    changed.observed.token_changed = true;
    assert_eq!(changed.decide(), Step::Read);
}

#[test]
fn later_attempts_keep_the_first_before() {
    let mut story = unknown();
    story.reading = Ok(connector().with(|v| v.development_executable = Field::Value(9)));
    let story = story.claimed(10).failed(500, 11);
    let before = story.status().result.before.as_ref().unwrap();
    assert_eq!(before.executables.development, None);
    assert_eq!(story.operation().unknown_attempts, 2);
}

#[test]
fn an_attempt_without_effect_after_an_unknown_one_is_verified() {
    let story = unknown().claimed(10).failed(429, 11).clock(20);
    assert_eq!(story.decide(), Step::Read);
    assert_eq!(verdict(story.clone(), connector().production(Field::Value(24))), Some(Reason::RolledBack));
    assert_eq!(verdict(story, connector()), None);
}

#[test]
fn a_refusal_after_an_unknown_attempt_must_be_verified() {
    for (what, reading, expected) in [
        ("effect", Ok(connector().production(Field::Value(24))), Reason::RolledBack),
        ("unchanged", Ok(connector()), Reason::OutcomeUnknown),
        ("moving", Ok(connector().state("resynchronizing-to-prod")), Reason::OutcomeUnknown),
        ("ambiguous", Ok(connector().state("built")), Reason::OutcomeUnknown),
        ("refused", Err(status(403)), Reason::OutcomeUnknown),
        ("failing", Err(status(503)), Reason::Verifying),
    ] {
        let story = unknown().answered_then(Err(status(400)), reading).settled();
        assert_eq!((story.reason(), story.reads), (expected, 2), "{what}");
        assert_eq!(story.writes, 4, "claim and record, twice: {what}");
    }
}

#[test]
fn an_unverified_refusal_survives_failed_reads_and_restarts() {
    let story = unknown().answered_then(Err(status(400)), Err(status(503))).settled();
    let story = story.reads(connector()).waited();
    assert_eq!(story.reason(), Reason::OutcomeUnknown);
}

#[test]
fn verification_past_a_limit_ends_the_request() {
    let moving = connector().state("resynchronizing-to-prod");
    for (what, reading, expected) in [
        ("effect", Ok(connector().production(Field::Value(24))), Reason::RolledBack),
        ("unchanged", Ok(connector()), Reason::Expired),
        ("moving", Ok(moving), Reason::OutcomeUnknown),
        ("ambiguous", Ok(connector().state("built")), Reason::OutcomeUnknown),
        ("refused", Err(status(404)), Reason::OutcomeUnknown),
        ("failing", Err(no_answer()), Reason::Verifying),
    ] {
        let mut story = unknown().not_after(5);
        story.reading = reading;
        assert_eq!(story.settled().reason(), expected, "{what}");
    }
    assert_eq!(unknown().active_deadline(5).settled().reason(), Reason::DeadlineExceeded);
}

#[test]
fn a_suspended_request_is_verified_and_not_repeated() {
    let moving = connector().state("resynchronizing-to-prod");
    for (what, reading, expected) in [
        ("effect", Ok(connector().production(Field::Value(24))), Reason::RolledBack),
        ("unchanged", Ok(connector()), Reason::Suspended),
        ("moving", Ok(moving), Reason::Verifying),
        ("ambiguous", Ok(connector().state("built")), Reason::OutcomeUnknown),
        ("refused", Err(status(404)), Reason::OutcomeUnknown),
    ] {
        let mut story = unknown().suspended();
        story.reading = reading;
        assert_eq!(story.settled().reason(), expected, "{what}");
    }
}

#[test]
fn an_object_being_deleted_is_verified_and_not_repeated() {
    let going = unknown().being_deleted();
    assert_eq!(verdict(going.clone(), connector().production(Field::Value(24))), Some(Reason::RolledBack));
    let unchanged = going.clone().settled();
    assert_eq!((unchanged.reason(), unchanged.operation().unknown_attempts), (Reason::OnHold, 0));
    assert_eq!(unchanged.reads(connector().production(Field::Value(24))).decide(), Step::Rest);
    let moving = connector().state("resynchronizing-to-prod");
    assert_eq!(verdict(going.clone(), moving), Some(Reason::OutcomeUnknown));
    assert_eq!(verdict(going, connector().state("built")), Some(Reason::OutcomeUnknown));
}

#[test]
fn an_unreadable_success_counts_if_reading_is_refused() {
    for code in [403, 404] {
        let story = rollback().reading_fails(status(code)).answered(Err(unreadable())).settled();
        assert_eq!(story.reason(), Reason::Verifying);
        let story = story.waited();
        assert_eq!(
            (story.reason(), story.operation().evidence),
            (Reason::RolledBack, Some(Evidence::Response))
        );
        assert_eq!(story.status().state, None);
        assert_eq!(story.status().result.executables, None);
    }
}

#[test]
fn an_unreadable_success_is_verified_if_reading_is_allowed() {
    let story = || rollback().claimed(0).failing(&unreadable(), 1).clock(10);
    assert_eq!(story().decide(), Step::Read);
    assert_eq!(verdict(story(), connector().production(Field::Value(24))), Some(Reason::RolledBack));
    assert_eq!(verdict(story(), connector()), None);
}

#[test]
fn an_incomplete_read_does_not_count_as_an_accepted_call() {
    let story = rollback().reads(connector().legacy(Field::Missing)).settled();
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(200));
    let story = story.reads(connector()).clock(5).claimed(5).taken_over().seen_for(35).clock(60);
    assert_eq!(story.reading_fails(status(403)).settled().reason(), Reason::OutcomeUnknown);
}

#[test]
fn a_read_before_an_attempt_is_repeated_if_the_token_was_replaced_meanwhile() {
    let mut story = rollback().reading_fails(status(401)).just_read();
    story.observed.token_changed = true;
    assert!(matches!(story.decide(), Step::Read));
}

#[test]
fn a_claim_that_was_not_used_leaves_an_earlier_attempt_to_be_verified_while_calls_are_on_hold() {
    let mut story =
        restore().claimed(0).failed(500, 1).reads(in_the_bin()).clock(40).just_read().claimed(40).held();
    story.observed.claim_unsent = true;
    let status = written(story.decide());
    assert_eq!(status.reason, Some(Reason::Verifying));
    story.store(status);
    let message =
        "Verifying whether the last attempt had an effect: the CDE API answered 500: the API's message";
    assert_eq!((story.message(), story.operation().attempts), (message, 2));
}
