//! Final outcomes, and the generations that a status names.

use super::fixtures::*;
use crate::api::{MigrationRollback, Outcome, Reason};
use crate::cde::model::{Data, Field};
use crate::operation::Step;

fn generations<O: Kind>(story: &Story<O>) -> Vec<Option<i64>> {
    let status = story.object.status().unwrap();
    let mut all = vec![status.observed_generation];
    all.extend(status.conditions.iter().map(|condition| condition.observed_generation));
    all
}

/// What may happen to a story.
type Change = fn(Story<MigrationRollback>) -> Story<MigrationRollback>;

#[test]
fn nothing_reopens_a_final_request() {
    let done = rollback().claimed(0).succeeded(1);
    let skipped = rollback().not_after(-2 * DAY).settled();
    let changes: [(&str, Change); 7] = [
        ("time", |story| story.clock(30 * DAY)),
        ("an edit", |story| story.edited().not_after(9 * DAY)),
        ("a retry", |story| story.retry_asked(100).clock(200)),
        ("suspending", Story::suspended),
        ("deleting", Story::being_deleted),
        ("another base URL", Story::elsewhere),
        ("a read", Story::just_read),
    ];
    for story in [done, skipped] {
        for (what, change) in changes {
            assert_eq!(change(story.clone()).decide(), Step::Rest, "{what}");
        }
    }
}

#[test]
fn a_final_record_names_no_generation() {
    let done = rollback().claimed(0).succeeded(1);
    let skipped = rollback().not_after(-2 * DAY).settled();
    let seen = rollback()
        .claimed(0)
        .failed(500, 1)
        .clock(5)
        .reads(connector().legacy(crate::cde::model::Field::Null));
    for story in [done, skipped, seen.settled()] {
        assert!(story.outcome().is_some_and(Outcome::is_final));
        assert!(generations(&story).iter().all(Option::is_none));
    }
}

#[test]
fn an_edit_of_a_failed_request_changes_only_the_generation() {
    let story = rollback().claimed(0).failed(400, 1);
    assert_eq!(generations(&story), [Some(1); 3]);
    let before = story.status().clone();
    let story = story.edited().clock(100).settled();
    assert_eq!(generations(&story), [Some(2); 3]);
    let after = story.status();
    assert_eq!(
        (&after.operation, after.reason, after.outcome),
        (&before.operation, before.reason, before.outcome)
    );
    assert_eq!(after.conditions[0].last_transition_time, before.conditions[0].last_transition_time);
    assert_eq!((story.writes, story.decide()), (3, Step::Rest));
}

#[test]
fn every_waiting_request_notes_the_generation_of_an_edit() {
    for (what, story) in [
        ("backoff", rollback().claimed(0).failed(423, 1)),
        ("verification", rollback().claimed(0).failed(500, 1)),
        ("verification, held", rollback().claimed(0).failed(500, 1).clock(5).held()),
        ("backoff, held", rollback().claimed(0).failed(423, 1).held()),
        ("turn", rollback().behind("another").settled()),
        ("suspended", rollback().suspended().settled()),
    ] {
        let reason = story.reason();
        let story = story.edited().settled();
        assert_eq!((story.reason(), generations(&story)[0]), (reason, Some(2)), "{what}");
        assert!(generations(&story).iter().all(|generation| *generation == Some(2)), "{what}");
    }
}

#[test]
fn a_terminal_response_ends_the_request_with_reason_and_message() {
    for (code, reason) in [
        (400, Reason::OperationNotAllowed),
        (403, Reason::AccessDenied),
        (404, Reason::NotFound),
        (405, Reason::RequestRejected),
        (422, Reason::RequestRejected),
    ] {
        let story = rollback().answered(Err(status(code))).settled();
        assert_eq!(
            (story.reason(), story.outcome(), story.writes),
            (reason, Some(Outcome::Failed), 2),
            "{code}"
        );
        let operation = story.operation();
        assert_eq!(operation.completion_time.as_ref().unwrap().0, at(0));
        assert!(
            operation.next_attempt_time.is_none()
                && operation.in_flight.is_none()
                && operation.evidence.is_none()
        );
        let said = status(code).message;
        assert_eq!(story.message(), format!("The CDE API answered {code}: {said}"));
    }
}

#[test]
fn the_last_error_is_kept_after_a_success() {
    let story = rollback().answered(Err(status(423))).answered(rolled_back()).settled().waited();
    assert_eq!(story.reason(), Reason::RolledBack);
    assert_eq!(story.operation().last_error.as_ref().unwrap().code, Some(423));
    assert_eq!((story.operation().attempts, story.operation().backoff_step), (2, 1));
}

#[test]
fn deletion_begins_no_attempt_and_records_the_one_in_progress() {
    assert_eq!(rollback().being_deleted().decide(), Step::Rest);
    assert_eq!(rollback().claimed(0).failed(423, 1).being_deleted().clock(100).decide(), Step::Rest);
    let mut story = rollback().claimed(0).being_deleted();
    let record = story.respond(Err(&status(423)));
    story.record(&record);
    assert_eq!((story.reason(), story.decide()), (Reason::Retrying, Step::Rest));
    let mut story = rollback().claimed(0).being_deleted();
    let record = story.respond(Ok(&rolled_back().unwrap()));
    story.record(&record);
    assert_eq!(story.reason(), Reason::RolledBack);
}

#[test]
fn texts_of_the_cde_are_bounded_and_cleaned() {
    let mut long = status(400);
    long.message = format!("a\u{1b}[31m{}", "x".repeat(5000));
    let story = rollback().answered(Err(long)).settled();
    let message = &story.operation().last_error.as_ref().unwrap().message;
    assert!(message.chars().count() <= 512 && !message.contains('\u{1b}'));
    assert!(story.message().chars().count() <= 1024 && !story.message().contains('\u{1b}'));
    let wordy = connector().state(&"s".repeat(5000));
    let story = rollback().reads(wordy).claimed(0);
    assert_eq!(story.status().state.as_ref().unwrap().chars().count(), 256);
}

#[test]
fn a_success_names_the_version_and_the_executables_before_and_after() {
    let story = rollback().answered(rolled_back()).settled();
    assert_eq!(story.message(), "Rolled back version 1.0.0: production executable 25 → 24.");
    let nameless = Ok(Data::Version(Box::new(version("1.0.0").production(Field::Missing))));
    let story = rollback().answered(nameless).settled();
    assert_eq!(story.message(), "Rolled back version 1.0.0.");
}
