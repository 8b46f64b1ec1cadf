//! `describe`.

use cde_harness::{Kind, rollback};
use cde_sandbox::cde::new_id;

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

#[tokio::test]
async fn the_story_of_a_request_of_the_plugin_leaves_git_out_and_mentions_a_retry() {
    let incident = Incident::new().await;
    let id = new_id().to_string();
    incident.ok(&["rollback", &id, "--name", "absent", "--not-after", "2100-01-01T00:00:00Z"]).await;
    let first = incident.env.wait_for_reason(Kind::Rollback, "absent", "NotFound").await;
    let text = incident.ok(&["describe", "absent"]).await;
    let namespace = &incident.env.namespace;
    for part in [
        "If a field is wrong, create another request with kubectl cde rollback.",
        &format!("delete it: kubectl delete mrb/absent -n {namespace}"),
        "No attempt begins after 2100-01-01T00:00:00Z.",
    ] {
        assert!(flat(&text).contains(part), "{part}:\n{text}");
    }
    for part in ["Git", "other words", "years", "Retried:"] {
        assert!(!text.contains(part), "{part}:\n{text}");
    }
    incident.ok(&["retry", "absent"]).await;
    let other = |object: &cde_harness::Object| {
        object.request_id() != first.request_id() && object.outcome().is_some()
    };
    incident.env.wait_until(Kind::Rollback, "absent", "asked again", other).await;
    let text = flat(&incident.ok(&["describe", "absent"]).await);
    assert!(text.contains("Retried: At 20"), "{text}");
    let events = format!("kubectl events --for migrationrollbacks/absent -n {namespace}");
    assert!(text.contains(&events), "{text}");
    assert!(
        incident
            .env
            .kubectl(&["events", "--for", "migrationrollbacks/absent"], "")
            .await
            .contains("NotFound")
    );
    // The runbook's text is for those whose requests are in Git.
    incident.env.apply(&rollback("in-git", new_id(), "main")).await;
    incident.env.wait_for_reason(Kind::Rollback, "in-git", "NotFound").await;
    assert!(incident.ok(&["describe", "in-git"]).await.contains("manifest in Git"));
}

/// Returns a text without its line breaks and columns.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
