//! A manifest cannot hit a release that it was not written for.

use super::fixtures::*;
use crate::api::{ExecutableConditions, MigrationRollback, Outcome, Preconditions, Reason};
use crate::cde::model::Field;
use crate::operation::Step;

fn on_condition(state: Option<&str>, ids: [Option<i64>; 3]) -> Story<MigrationRollback> {
    let [legacy, production, development] = ids;
    let mut story = rollback();
    story.object.spec.preconditions = Some(Preconditions {
        state: state.map(str::to_owned),
        executables: Some(ExecutableConditions { legacy, production, development }),
    });
    story
}

#[test]
fn only_given_preconditions_are_checked() {
    for (state, ids, holds) in [
        (None, [None, None, None], true),
        (Some("synchronized-to-prod"), [None, None, None], true),
        (Some("built"), [None, None, None], false),
        (None, [Some(24), None, None], true),
        (None, [Some(25), None, None], false),
        (None, [None, Some(25), None], true),
        (None, [None, Some(24), None], false),
        (None, [None, None, Some(1)], false),
        (Some("synchronized-to-prod"), [Some(24), Some(25), None], true),
        (Some("synchronized-to-prod"), [Some(24), Some(26), None], false),
    ] {
        let story = on_condition(state, ids).answered(rolled_back()).settled();
        let expected = if holds { Reason::RolledBack } else { Reason::PreconditionFailed };
        assert_eq!((story.reason(), story.calls.len()), (expected, usize::from(holds)), "{state:?} {ids:?}");
    }
}

#[test]
fn a_failed_precondition_ends_the_request_and_names_the_difference() {
    let story = on_condition(None, [None, Some(24), None]).settled();
    assert_eq!((story.outcome(), story.writes, story.operation().attempts), (Some(Outcome::Failed), 1, 0));
    assert!(story.message().contains("production executable is 25, not 24"), "{}", story.message());
}

#[test]
fn preconditions_are_checked_before_each_attempt() {
    let story = on_condition(None, [None, Some(25), None]).claimed(0).failed(429, 1).clock(10);
    let story = story.reads(connector().production(Field::Value(26))).settled();
    assert_eq!((story.reason(), story.operation().attempts), (Reason::PreconditionFailed, 1));
}

#[test]
fn an_effect_is_recorded_before_preconditions_are_checked() {
    let story = on_condition(None, [None, Some(25), None]).claimed(0).failed(500, 1).clock(10);
    let step = story.reads(connector().production(Field::Value(24))).just_read().decide();
    assert!(matches!(step, Step::Write(status) if status.reason == Some(Reason::RolledBack)));
}
