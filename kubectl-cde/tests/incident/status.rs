//! `status`.

use std::process::Command;

use cde_harness::{Kind, rollback};

use super::fixture::{Incident, run};

#[tokio::test]
async fn what_needs_a_person_comes_first_and_what_is_done_is_counted() {
    let incident = Incident::new().await;
    let unknown = incident.unknown().await;
    incident.failed().await;
    let connector = incident.migrated("shop");
    incident.env.apply(&rollback("held", connector, "main").spec("suspend", true)).await;
    let done = incident.migrated("done");
    incident.env.apply(&rollback("done", done, "main")).await;
    incident.env.wait_for_reason(Kind::Rollback, "held", "Suspended").await;
    incident.env.wait_for_reason(Kind::Rollback, "done", "RolledBack").await;

    let text = incident.ok(&["status"]).await;
    assert!(text.starts_with("4 requests: 2 need a person, 1 waiting, 1 done\n"), "{text}");
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part}: {text}"));
    assert!(
        at("NEEDS A PERSON") < at(&format!("mrb/{unknown} ")) && at("OutcomeUnknown") < at("WAITING"),
        "{text}"
    );
    assert!(
        at("WAITING") < at("mrb/held ") && at("mrb/held ") < at("Suspended. Would roll back version"),
        "{text}"
    );
    assert!(!text.contains("mrb/done") && !text.contains('\u{1b}'), "{text}");
    assert!(incident.ok(&["status", "-o", "wide"]).await.contains("mrb/done "));

    let names =
        incident.ok(&["status", "--reason", "Suspended", "--reason", "RolledBack", "-o", "name"]).await;
    let resource = "migrationrollback.cde.productsup.com";
    assert_eq!(names, format!("{resource}/done\n{resource}/held\n"));
    let by_connector =
        incident.ok(&["status", &connector.to_string(), "-o", "jsonpath={.metadata.name}"]).await;
    assert_eq!(by_connector, "held");
    let failed = ["status", "--field-selector", "status.outcome=Unknown", "-o", "json"];
    let json: serde_json::Value = serde_json::from_str(&incident.ok(&failed).await).unwrap();
    assert_eq!(json["metadata"]["name"], unknown);
}

#[tokio::test]
async fn a_name_that_does_not_exist_says_where_to_look() {
    let incident = Incident::without_operator().await;
    let ended = incident.run(&["status", "nothing"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("there is no request nothing in the namespace"), "{ended:?}");
    let namespace = &incident.env.namespace;
    assert_eq!(incident.ok(&["list"]).await, format!("No requests in {namespace}: see -n or -A.\n"));
    // An administrator may know more than a requester.
    let admin = incident.env.control_plane.kubeconfig();
    let mut command = incident.plugin_as(&admin, &["get"]);
    command.args(["-n", "no-such-place"]);
    let ended = run(command, "").await;
    assert_eq!(
        ended.stdout, "No requests in no-such-place, which does not exist: see -n or -A.\n",
        "{ended:?}"
    );
}

#[tokio::test]
async fn help_names_the_codes_of_wait() {
    for (words, says) in [
        (&["help"][..], "`kubectl cde wait` has its own"),
        (&["help", "wait"], "2 if some have no result"),
        (&["help", "list"], "Show requests:"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cde"));
        command.args(words);
        let ended = run(command, "").await;
        let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(ended.code == 0 && text.contains(says), "{words:?}: {ended:?}");
        assert!(!ended.stdout.contains("\n  list "), "{ended:?}");
    }
}

#[tokio::test]
async fn a_request_without_an_operator_is_shown_as_pending() {
    let incident = Incident::without_operator().await;
    let connector = incident.migrated("shop");
    incident.env.apply(&rollback("waits", connector, "1")).await;
    let text = incident.ok(&["status"]).await;
    assert!(text.contains("Pending") && text.contains("No operator has seen this request yet."), "{text}");
}
