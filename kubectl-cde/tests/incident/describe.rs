//! `describe`.

use cde_harness::{Kind, rollback};

use super::fixture::Incident;

#[tokio::test]
async fn the_story_of_an_unknown_outcome_says_what_to_do() {
    let incident = Incident::new().await;
    let name = incident.unknown().await;
    let text = incident.ok(&["describe", &name]).await;
    let object = incident.env.get(Kind::Rollback, &name).await;
    let id = object.request_id();
    for part in [
        "Asked:        Roll back the migration of version main (1.0.0) of the connector Name (",
        "State:        OutcomeUnknown. ",
        "Before the attempt: state synchronized-to-prod, executables production 25, legacy 24",
        "Attempts:     One at ",
        "Last answer:  500 at ",
        "Next:         Nothing: the request ended ",
        "and only a person can reopen it.",
        "Check:        Look at the connector in the CDE.",
        &format!("Commands:     kubectl cde confirm mrb/{name} -n {} --succeeded", incident.env.namespace),
        &format!("Trace ID:     {}", id.replace('-', "")),
        &format!("Request ID:   {id}-1 "),
    ] {
        assert!(flat(&text).contains(&flat(part)), "{part}:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 140), "{text}");
}

#[tokio::test]
async fn the_story_of_an_open_request_says_when_it_ends_by_itself() {
    let incident = Incident::new().await;
    let connector = incident.migrated("shop");
    incident.env.apply(&rollback("held", connector, "main").spec("suspend", true)).await;
    incident.env.wait_for_reason(Kind::Rollback, "held", "Suspended").await;
    let text = incident.ok(&["describe", "mrb/held"]).await;
    for part in [
        "by kubectl-client-side-apply. No attempt begins after",
        "State:        Suspended. Suspended. Would roll back version 1.0.0 of shop",
        "Last seen: state synchronized-to-prod, executables production 25, legacy 24.",
        "Attempts:     None so far.",
        "Next:         The request ends by itself ",
        &format!("Commands:     kubectl cde resume mrb/held -n {}", incident.env.namespace),
    ] {
        assert!(flat(&text).contains(&flat(part)), "{part}:\n{text}");
    }
    assert!(!text.contains("Request ID:"), "there was no call:\n{text}");
}

/// Returns a text without its line breaks and columns.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
