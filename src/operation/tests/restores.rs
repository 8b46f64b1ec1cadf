//! Verification of a restore.

use super::fixtures::*;
use crate::api::{ConnectorRestore, Evidence, Outcome, Reason};
use crate::cde::model::{Connector, Field};
use crate::operation::Step;

fn unknown() -> Story<ConnectorRestore> {
    restore().claimed(0).failed(500, 1).clock(10)
}

#[test]
fn a_connector_is_live_if_it_has_versions_and_none_is_deleted() {
    let missing = connector().with(|v| v.deleted_at = Field::Missing);
    for (what, connector, expected) in [
        ("live", connector(), Some(Reason::Restored)),
        ("two live versions", versions([version("1.0.0"), version("2.0.0")]), Some(Reason::Restored)),
        ("in the bin", in_the_bin(), None),
        ("partly in the bin", versions([version("1.0.0"), version("2.0.0").deleted()]), None),
        ("without versions", versions([]), None),
        ("deleted or not is missing", missing, Some(Reason::Verifying)),
        (
            "no list of versions",
            Connector { versions: Field::Missing, ..connector() },
            Some(Reason::Verifying),
        ),
        ("another connector", Connector { id: Field::Missing, ..connector() }, Some(Reason::Verifying)),
    ] {
        let reason = match unknown().reads(connector).just_read().decide() {
            Step::Claim(_) => None,
            step => written(step).reason,
        };
        assert_eq!(reason, expected, "{what}");
    }
}

#[test]
fn a_live_connector_after_an_unknown_attempt_is_restored() {
    let story = unknown().reads(connector()).settled();
    assert_eq!(
        (story.reason(), story.operation().evidence),
        (Reason::Restored, Some(Evidence::ObservedLive))
    );
    assert_eq!(story.status().result.connector.as_ref().unwrap().name.as_deref(), Some("OMDb"));
}

#[test]
fn if_reading_is_refused_the_next_attempt_follows() {
    for code in [403, 404] {
        let story = unknown().reading_fails(status(code)).answered(restored()).settled();
        assert_eq!((story.reason(), story.operation().attempts), (Reason::Restored, 2), "{code}");
    }
}

#[test]
fn past_a_limit_a_refused_read_ends_as_outcome_unknown() {
    let late = || unknown().not_after(5);
    assert_eq!(late().reads(connector()).settled().reason(), Reason::Restored);
    assert_eq!(late().settled().reason(), Reason::Expired);
    assert_eq!(late().reading_fails(status(403)).settled().reason(), Reason::OutcomeUnknown);
}

#[test]
fn a_404_is_verified_at_once() {
    for (what, reading, expected, evidence) in [
        ("live", Ok(connector()), Reason::AlreadyRestored, Some(Evidence::ObservedLive)),
        ("unknown", Err(status(404)), Reason::NotFound, None),
        ("hidden", Err(status(403)), Reason::NotFound, None),
        ("still in the bin", Ok(in_the_bin()), Reason::Retrying, None),
        ("the read fails", Err(status(503)), Reason::Verifying, None),
        ("the token is refused", Err(status(401)), Reason::TokenRejected, None),
    ] {
        let mut story = restore().answered_then(Err(status(404)), reading);
        story.run_to_record();
        assert_eq!((story.reads, story.writes), (1, 2), "{what}");
        assert_eq!((story.reason(), story.operation().evidence), (expected, evidence), "{what}");
    }
}

#[test]
fn a_refused_restore_of_a_connector_in_the_bin_is_retried() {
    let story = restore().answered(Err(status(404))).answered(restored()).settled();
    assert_eq!((story.reason(), story.writes, story.reads), (Reason::Retrying, 2, 1));
    assert_eq!(story.operation().unknown_attempts, 0);
    let story = story.waited();
    assert_eq!((story.reason(), story.operation().attempts), (Reason::Restored, 2));
}

#[test]
fn the_read_after_a_404_is_repeated_until_it_succeeds() {
    let story = restore().answered_then(Err(status(404)), Err(no_answer())).settled();
    assert_eq!(story.reason(), Reason::Verifying);
    assert_eq!(story.clone().reads(connector()).waited().reason(), Reason::AlreadyRestored);
    assert_eq!(story.clone().reading_fails(status(404)).waited().reason(), Reason::NotFound);
    let late = story.not_after(1).waited();
    assert_eq!((late.reason(), late.outcome()), (Reason::NotFound, Some(Outcome::Failed)));
}

#[test]
fn a_refusal_other_than_404_is_final_at_once() {
    for (code, reason) in
        [(400, Reason::OperationNotAllowed), (403, Reason::AccessDenied), (410, Reason::RequestRejected)]
    {
        let story = restore().answered(Err(status(code))).settled();
        assert_eq!((story.reason(), story.reads, story.writes), (reason, 0, 2));
    }
}

#[test]
fn a_refusal_after_an_unknown_attempt_is_a_success_if_live() {
    for (what, reading, expected) in [
        ("live", Ok(connector()), Reason::Restored),
        ("in the bin", Ok(in_the_bin()), Reason::OutcomeUnknown),
        ("unknown", Err(status(404)), Reason::OutcomeUnknown),
    ] {
        for code in [404, 403] {
            let story = unknown().answered_then(Err(status(code)), reading.clone()).settled();
            assert_eq!(story.reason(), expected, "{what} after {code}");
        }
    }
}

#[test]
fn at_most_ten_versions_are_shown_including_the_main_one() {
    let many = versions((1..=60).map(|major| version(&format!("{major}.0.0")).state("built")));
    for (main, last) in [(2, "2.0.0"), (55, "51.0.0"), (51, "51.0.0"), (50, "50.0.0"), (70, "51.0.0")] {
        let story =
            unknown().reads(Connector { main_version_number: Field::Value(main), ..many.clone() }).settled();
        let shown: Vec<_> = story.status().result.versions.iter().map(|it| it.version.as_str()).collect();
        assert_eq!((shown.len(), shown[0], shown[8], shown[9]), (10, "60.0.0", "52.0.0", last), "{main}");
        assert_eq!(story.status().state.as_deref(), Some("built"));
    }
}

#[test]
fn the_state_is_that_of_the_main_or_the_newest_version() {
    let two = versions([version("1.0.0").state("built"), version("2.0.0").state("created")]);
    for (main, state) in [(Field::Value(1), "built"), (Field::Null, "created"), (Field::Value(7), "created")]
    {
        let story = unknown().reads(Connector { main_version_number: main, ..two.clone() }).settled();
        assert_eq!(story.status().state.as_deref(), Some(state));
    }
}

#[test]
fn a_restore_names_and_records_the_connector_of_its_response() {
    let story = restore().answered(restored()).settled();
    assert_eq!(
        (story.reason(), story.message()),
        (Reason::Restored, "Restored the connector OMDb from the bin.")
    );
    assert_eq!(story.status().result.connector.as_ref().unwrap().name.as_deref(), Some("OMDb"));
    assert_eq!(story.status().result.versions.len(), 1);

    let story = restore().answered(Err(status(404))).reads(connector()).settled();
    assert_eq!(story.message(), "Nothing to do: the connector OMDb is not in the bin.");
}
