//! The preview of a suspended request.

use super::fixtures::*;
use crate::api::{MigrationRollback, Reason};
use crate::cde::model::{Connector, Field};
use crate::operation::Step;

fn message(story: Story<MigrationRollback>) -> String {
    let story = story.suspended().settled();
    assert_eq!((story.reason(), story.reads, story.writes, story.calls.len()), (Reason::Suspended, 1, 1, 0));
    story.message().to_owned()
}

#[test]
fn a_suspended_rollback_says_in_one_write_what_it_would_do() {
    let named = Connector { name: Field::Value("omdb".to_owned()), ..connector() };
    assert_eq!(
        message(rollback().reads(named.clone())),
        "Suspended. Would roll back version 1.0.0 of omdb (production executable 25, legacy 24)."
    );
    let story = rollback().reads(named).suspended().settled();
    assert_eq!(story.status().result.before.as_ref().unwrap().executables.production, Some(25));
    assert_eq!(story.status().result.connector.as_ref().unwrap().name.as_deref(), Some("omdb"));
    let none = Connector { main_version_number: Field::Null, ..connector() };
    assert_eq!(
        message(rollback().reads(none)),
        "Suspended. Would be refused: the connector has no main version."
    );
    for (code, why) in [(403, "access denied."), (404, "not found. It may be in the bin.")] {
        let expected = format!("Suspended. The connector cannot be read: {why}");
        assert_eq!(message(rollback().reading_fails(status(code))), expected);
    }
}

#[test]
fn a_suspended_restore_says_whether_the_connector_is_in_the_bin() {
    for (reading, expected) in [
        (in_the_bin(), "Suspended. Would restore the connector from the bin."),
        (connector(), "Suspended. Would do nothing: the connector is not in the bin."),
    ] {
        let nameless = Connector { name: Field::Missing, ..reading };
        let story = restore().reads(nameless).suspended().settled();
        assert_eq!((story.message(), story.reads, story.writes), (expected, 1, 1));
    }
}

#[test]
fn a_preview_is_made_once_for_each_generation_and_again_for_a_newer_retry() {
    let story = rollback().suspended().settled();
    assert_eq!((story.reads, story.writes), (1, 1));
    let story = story.clock(100).settled();
    assert_eq!((story.reads, story.writes), (1, 1), "time alone is no reason");
    let story = story.edited().settled();
    assert_eq!((story.reads, story.writes), (2, 2));
    let story = story.retry_asked(100).settled();
    assert_eq!((story.reads, story.writes), (3, 3));
    assert_eq!(story.settled().reads, 3);
}

#[test]
fn the_version_of_a_preview_does_not_bind_an_attempt() {
    let two = versions([version("1.0.0"), version("2.0.0").production(Field::Value(40))]);
    let main = |number| Connector { main_version_number: Field::Value(number), ..two.clone() };
    let story = rollback().reads(main(1)).suspended().settled();
    assert_eq!(story.status().result.resolved_version.as_ref().unwrap().major, 1);
    let story = story.resumed().reads(main(2)).claimed(10);
    assert_eq!(story.status().result.resolved_version.as_ref().unwrap().major, 2);
    assert_eq!(story.status().result.before.as_ref().unwrap().executables.production, Some(40));
}

#[test]
fn a_preview_waits_while_calls_are_on_hold() {
    let mut story = rollback().suspended().held();
    assert!(matches!(story.run(), Step::Hold(_)));
    assert_eq!((story.reason(), story.reads, story.writes), (Reason::Suspended, 0, 1));
    story.observed.on_hold = false;
    let story = story.settled();
    assert_eq!((story.reads, story.writes), (1, 2));
    assert!(story.message().starts_with("Suspended. Would roll back"), "{}", story.message());
}

#[test]
fn a_failed_preview_read_is_repeated_without_another_write() {
    let mut story = rollback().reading_fails(status(500)).suspended();
    let Step::Wait(Some(wait)) = story.run() else { panic!("it waits") };
    assert!(wait >= story.settings.retry_max / 2, "{wait:?}");
    assert_eq!((story.reason(), story.writes), (Reason::Suspended, 1));
    story.now += wait;
    story.observed.reading = None;
    let story = story.reads(connector()).settled();
    assert!(story.message().starts_with("Suspended. Would roll back"), "{}", story.message());
    assert_eq!(story.writes, 2);
}

#[test]
fn a_preview_whose_read_finds_the_api_down_waits_for_the_circuit_breaker() {
    let mut story = rollback().suspended().held();
    assert!(matches!(story.run(), Step::Hold(_)));
    assert_eq!((story.reason(), story.reads), (Reason::Suspended, 0));
    let story = story.reading_fails(status(503)).just_read();
    assert!(matches!(story.decide(), Step::Hold(_)), "it is woken as soon as calls go out again");
}
