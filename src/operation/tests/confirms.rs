//! The confirm annotation.

use super::fixtures::*;
use crate::api::{Evidence, MigrationRollback, Outcome, Reason};
use crate::operation::{InvalidConfirm, Step, event_for, invalid_confirm};

fn unknown_outcome() -> Story<MigrationRollback> {
    let story = rollback().claimed(0).failed(500, 1).clock(10).reading_fails(status(403)).settled();
    assert_eq!(story.outcome(), Some(Outcome::Unknown));
    story
}

fn says(story: &Story<MigrationRollback>, word: &str) -> String {
    format!("{}:{word}", story.operation().id)
}

#[test]
fn a_confirmed_success_is_final_and_nothing_is_called() {
    let story = unknown_outcome();
    let (calls, value) = (story.calls.len(), says(&story, "Succeeded"));
    let done = story.clone().confirmed(&value).clock(100).settled();
    assert_eq!((done.reason(), done.outcome()), (Reason::RolledBack, Some(Outcome::Succeeded)));
    assert_eq!(done.operation().evidence, Some(Evidence::Confirmed));
    assert_eq!(done.operation().id, story.operation().id);
    assert_eq!(done.message(), "Confirmed by annotation at 2026-11-20T08:01:40Z.");
    assert_eq!(done.calls.len(), calls);
    assert_eq!(done.clone().retry_asked(200).clock(200).decide(), Step::Rest);
    assert_eq!(invalid_confirm(&done.object), None, "it has been recorded");
    let event = event_for(Some(story.status()), done.status(), &[]).unwrap();
    assert_eq!((event.warning, event.reason, event.action), (false, "RolledBack", Some("Verify")));
}

#[test]
fn a_retry_reopens_a_confirmed_failure() {
    let story = unknown_outcome();
    let value = says(&story, "Failed");
    let failed = story.confirmed(&value).clock(100).settled();
    assert_eq!((failed.reason(), failed.outcome()), (Reason::ConfirmedFailed, Some(Outcome::Failed)));
    assert_eq!((failed.decide(), invalid_confirm(&failed.object)), (Step::Rest, None));
    let again = failed.retry_asked(200).clock(200).reads(connector()).answered(rolled_back()).settled();
    assert_eq!((again.reason(), again.outcome()), (Reason::RolledBack, Some(Outcome::Succeeded)));
}

#[test]
fn a_confirmation_counts_before_a_retry_of_the_same_time() {
    let story = unknown_outcome();
    let value = says(&story, "Succeeded");
    assert_eq!(story.confirmed(&value).retry_asked(50).clock(100).settled().reason(), Reason::RolledBack);
}

#[test]
fn an_invalid_confirmation_is_ignored_and_says_why() {
    let story = unknown_outcome();
    let id = story.operation().id.clone();
    for (value, why) in [
        (id.clone(), InvalidConfirm::Unreadable),
        (format!("{id}:succeeded"), InvalidConfirm::Unreadable),
        (format!("{id}:Unknown"), InvalidConfirm::Unreadable),
        ("Succeeded".to_owned(), InvalidConfirm::Unreadable),
        (String::new(), InvalidConfirm::Unreadable),
        (format!("{CONNECTOR}:Succeeded"), InvalidConfirm::OtherRequest),
    ] {
        let story = story.clone().confirmed(&value).clock(100);
        assert_eq!(story.decide(), Step::Rest, "{value}");
        assert_eq!(invalid_confirm(&story.object), Some((value.as_str(), why)));
    }
}

#[test]
fn only_an_unknown_outcome_can_be_confirmed() {
    let failed = rollback().claimed(0).failed(400, 1);
    let waiting = rollback().claimed(0).failed(423, 1);
    for story in [failed, waiting] {
        let value = says(&story, "Succeeded");
        let expected = story.decide();
        let story = story.confirmed(&value);
        assert_eq!(invalid_confirm(&story.object), Some((value.as_str(), InvalidConfirm::NotUnknown)));
        assert_eq!(story.decide(), expected, "the annotation changes nothing");
    }
}
