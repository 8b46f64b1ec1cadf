//! Resolution of `main`, `latest` and major numbers.

use super::fixtures::*;
use crate::api::{MigrationRollback, Preconditions, Reason, ResolvedVersion};
use crate::cde::model::{Call, Connector, Data, Field};
use crate::operation::{Operation, Step};

fn asking_for(word: &str) -> Story<MigrationRollback> {
    let mut story = rollback();
    story.object.spec.version = word.to_owned();
    story
}

/// The version that is called, or why none is.
fn called(story: Story<MigrationRollback>, connector: Connector) -> Result<String, Reason> {
    let story = story.reads(connector).answered(rolled_back()).settled();
    match story.calls.first() {
        Some(Call::RollBackMigration { version, connector }) if connector == CONNECTOR => Ok(version.clone()),
        Some(call) => panic!("{call:?}"),
        None => Err(story.reason()),
    }
}

#[test]
fn each_version_word_resolves_as_documented() {
    let two = || versions([version("1.0.0"), version("2.3.4")]);
    let unsorted = versions([version("10.0.0"), version("9.0.0"), version("2.0.0")]);
    let bin_on_top = versions([version("1.0.0"), version("2.0.0").deleted()]);
    let no_main = Connector { main_version_number: Field::Null, ..two() };
    let main_missing = Connector { main_version_number: Field::Missing, ..two() };
    let unknown_deletion = connector().with(|v| v.deleted_at = Field::Missing);
    for (what, word, connector, expected) in [
        ("main", "main", two(), Ok("1")),
        ("no main", "main", no_main.clone(), Err(Reason::NotFound)),
        ("main not said", "main", main_missing, Err(Reason::Retrying)),
        ("main that is no version", "main", versions([version("2.0.0")]), Err(Reason::NotFound)),
        ("latest", "latest", two(), Ok("2")),
        ("latest by number, not by text or place", "latest", unsorted, Ok("10")),
        ("latest that is not deleted", "latest", bin_on_top, Ok("1")),
        ("all deleted", "latest", in_the_bin(), Err(Reason::NotFound)),
        ("none left", "latest", versions([]), Err(Reason::NotFound)),
        ("deleted or not is not said", "latest", unknown_deletion, Err(Reason::Retrying)),
        ("a number", "2", no_main, Ok("2")),
        ("a number that is not there", "3", two(), Err(Reason::NotFound)),
        ("another that has no number", "1", versions([version("1.0.0"), version("x")]), Ok("1")),
        ("one that may be meant", "3", versions([version("1.0.0"), version("x")]), Err(Reason::Retrying)),
        ("one that is meant", "3", versions([version("1.0.0"), version("3.x")]), Err(Reason::Retrying)),
        ("main beside a malformed one", "main", versions([version("1.0.0"), version("2.x")]), Ok("1")),
        (
            "main that may be malformed",
            "main",
            versions([version("2.0.0"), version("x")]),
            Err(Reason::Retrying),
        ),
        (
            "latest beside a malformed one",
            "latest",
            versions([version("1.0.0"), version("x")]),
            Err(Reason::Retrying),
        ),
    ] {
        assert_eq!(called(asking_for(word), connector), expected.map(str::to_owned), "{what}");
    }
}

#[test]
fn the_highest_version_of_a_major_counts_and_a_deleted_one_last() {
    let several =
        versions([version("1.0.0"), version("1.10.0").production(Field::Value(30)), version("1.9.0")]);
    let story = asking_for("1").reads(several).claimed(0);
    assert_eq!(story.status().result.before.as_ref().unwrap().executables.production, Some(30));
    let resolved = ResolvedVersion { major: 1, version: Some("1.10.0".to_owned()) };
    assert_eq!(story.status().result.resolved_version, Some(resolved));

    let deleted = versions([version("2.0.0"), version("2.1.0").production(Field::Value(31)).deleted()]);
    let story = asking_for("latest").reads(deleted.clone()).claimed(0).failed(500, 1).clock(10);
    assert!(
        matches!(story.reads(deleted).just_read().decide(), Step::Claim(_)),
        "no change is seen in 2.0.0"
    );
}

#[test]
fn a_resolved_version_stays_when_main_or_latest_changes() {
    for word in ["main", "latest"] {
        let story = asking_for(word).claimed(0).failed(429, 1).clock(10);
        let moved = Connector {
            main_version_number: Field::Value(2),
            ..versions([version("1.0.0"), version("2.0.0")])
        };
        assert_eq!(called(story, moved), Ok("1".to_owned()), "{word}");
    }
}

#[test]
fn a_resolved_version_that_no_longer_exists_is_not_found() {
    let story = asking_for("main").claimed(0).failed(429, 1).clock(10);
    assert_eq!(called(story, versions([version("2.0.0")])), Err(Reason::NotFound));
}

#[test]
fn without_a_read_the_word_is_sent_and_the_version_of_the_response_noted() {
    for code in [403, 404] {
        let story = asking_for("latest").reading_fails(status(code)).claimed(0);
        assert_eq!(story.status().result.resolved_version, None, "{code}");
        let call = story.object.call(&story.status().result);
        assert_eq!(call, Call::RollBackMigration { connector: CONNECTOR.into(), version: "latest".into() });
        let story = story.succeeded(1);
        let resolved = story.status().result.resolved_version.as_ref().unwrap();
        assert_eq!((resolved.major, resolved.version.as_deref()), (1, Some("1.0.0")));
    }
}

#[test]
fn an_unresolved_word_stays_unresolved_while_reading_is_refused() {
    let story = asking_for("main").reading_fails(status(403)).claimed(0).failed(429, 1).claimed(10);
    assert_eq!(story.status().result.resolved_version, None);
}

#[test]
fn a_terminal_response_to_the_first_read_ends_the_request() {
    for (code, reason) in
        [(400, Reason::OperationNotAllowed), (410, Reason::RequestRejected), (422, Reason::RequestRejected)]
    {
        let story = rollback().reading_fails(status(code)).settled();
        assert_eq!((story.reason(), story.calls.len()), (reason, 0), "{code}");
    }
}

#[test]
fn preconditions_fail_if_reading_is_refused() {
    let mut story = rollback().reading_fails(status(403));
    story.object.spec.preconditions = Some(Preconditions { state: Some("built".into()), executables: None });
    let story = story.settled();
    assert_eq!((story.reason(), story.calls.len()), (Reason::PreconditionFailed, 0));
}

#[test]
fn a_success_that_lacks_fields_is_a_success_without_them() {
    let bare = Data::Version(Box::default());
    let story = rollback().answered(Ok(bare)).settled();
    assert_eq!((story.reason(), story.status().state.as_deref()), (Reason::RolledBack, None));
    assert_eq!(story.status().result.executables, Some(crate::api::Executables::default()));
}
