//! `rollback` and `restore`.

use cde_harness::Kind;
use cde_sandbox::cde::{Connector, Version, new_id};
use serde_json::json;

use super::fixture::{Incident, run};

#[tokio::test]
async fn a_rollback_is_made_and_ends_with_the_requester_role_only() {
    let incident = Incident::new().await;
    let connector = incident.migrated("shop").to_string();
    let said = incident.ok(&["rollback", &connector]).await;
    let name = said.trim().strip_prefix("mrb/").unwrap().strip_suffix(" created").unwrap();
    assert!(name.starts_with(&format!("rollback-{connector}-20")), "{name}");
    let object = incident.env.wait_for_reason(Kind::Rollback, name, "RolledBack").await;
    assert_eq!(object.0["spec"]["version"], "main");
    assert_eq!(object.metadata()["labels"], json!({"app.kubernetes.io/managed-by": "kubectl-cde"}));
    let text = incident.env.kubectl(&["get", "mrb", name, "-o", "json", "--show-managed-fields"], "").await;
    assert!(text.contains("\"manager\": \"cde-cli\""), "{text}");

    let again = incident.run(&["rollback", &connector]).await;
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{again:?}");
    assert!(again.stderr.contains("existed already (RolledBack), and nothing was changed"), "{again:?}");
    let other = incident.run(&["rollback", &connector, "--version", "1", "--name", name]).await;
    assert_eq!(other.code, 3, "{other:?}");
    assert!(other.stderr.contains("is for another connector or version"), "{other:?}");
}

#[tokio::test]
async fn a_connector_is_restored_by_name() {
    let incident = Incident::new().await;
    let id = new_id();
    incident.env.sandbox.put(Connector::in_bin(id).version(Version::default()));
    let args =
        ["restore", &id.to_string(), "--name", "get-it-back", "--labels", "incident=4711", "-o", "name"];
    assert_eq!(incident.ok(&args).await, "connectorrestore.cde.productsup.com/get-it-back\n");
    let object = incident.env.wait_for_reason(Kind::Restore, "get-it-back", "Restored").await;
    assert_eq!(object.metadata()["labels"]["incident"], "4711");
}

#[tokio::test]
async fn a_list_is_read_from_standard_input_with_versions_and_names() {
    let incident = Incident::without_operator().await;
    let (a, b) = (new_id(), new_id());
    let list = format!("connector;version;name\n{a};2;Shop EU\n{b};;\n");
    let ended = incident.run_with(&["rollback", "-f", "-", "--suspend", "--version", "latest"], &list).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout.matches(" created, suspended\n").count(), 2, "{ended:?}");
    let specs: Vec<_> = incident.stored().await.into_iter().map(|object| object["spec"].clone()).collect();
    for (connector, version) in [(a, "2"), (b, "latest")] {
        let found = specs.iter().find(|spec| spec["connectorID"] == connector.to_string()).unwrap();
        assert_eq!((&found["version"], &found["suspend"]), (&json!(version), &json!(true)));
    }
    assert!(ended.stdout.contains("mrb/rollback-shop-eu-v2-20"), "{ended:?}");
}

#[tokio::test]
async fn a_list_with_a_bad_line_creates_nothing() {
    let incident = Incident::without_operator().await;
    let list = format!("{}\nconnector-2\n{} 1.0.5\n", new_id(), new_id());
    let ended = incident.run_with(&["restore", "-f", "-"], &list).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    for part in ["-: line 2: \"connector-2\"", "line 3: the version \"1.0.5\"", "; nothing was created"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    assert!(incident.stored().await.is_empty());
}

#[tokio::test]
async fn a_list_with_an_unknown_column_creates_nothing() {
    let incident = Incident::without_operator().await;
    let list = format!("connector,verson\n{},2\n", new_id());
    let ended = incident.run_with(&["rollback", "-f", "-"], &list).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let says =
        "-: line 1: unknown column \"verson\": the columns are connector, version, name; nothing was created";
    assert!(ended.stderr.contains(says), "{ended:?}");
    assert!(incident.stored().await.is_empty());
}

#[tokio::test]
async fn a_window_that_has_passed_creates_nothing() {
    let incident = Incident::without_operator().await;
    let id = new_id().to_string();
    let ended = incident.run(&["rollback", &id, "--not-after", "2026-01-01T00:00:00Z"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("2026-01-01T00:00:00Z is in the past"), "{ended:?}");
    let negative = incident.run(&["rollback", &id, "--not-after", "-1h"]).await;
    assert!(negative.code == 2 && negative.stderr.contains(" is in the past"), "{negative:?}");
    let name = incident.run(&["rollback", "not-a-uuid"]).await;
    let says = "error: \"not-a-uuid\" is not a connector ID; a connector ID looks like 497f6eca-";
    assert!(name.code == 2 && name.stderr.starts_with(says), "{name:?}");
    assert!(incident.stored().await.is_empty());
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_list_says_what_exists() {
    let incident = Incident::without_operator().await;
    let ids: Vec<String> = (0..12).map(|_| new_id().to_string()).collect();
    let taken = incident.ok(&["restore", &ids[11], "--dry-run", "-o", "name"]).await;
    let taken = taken.trim().rsplit('/').next().unwrap();
    incident.ok(&["restore", &new_id().to_string(), "--name", taken]).await;
    let ended = incident.run_with(&["restore", "-f", "-"], &ids.join("\n")).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("; 11 of 12 requests exist (restore-"), "{ended:?}");
    assert!(ended.stderr.contains("run the same command again"), "{ended:?}");
    assert_eq!(incident.stored().await.len(), 12);
}

#[tokio::test]
async fn manifests_for_git_are_what_kubectl_accepts() {
    let incident = Incident::without_operator().await;
    let (a, b) = (new_id().to_string(), new_id().to_string());
    let yaml = incident.ok(&["rollback", &a, &b, "--dry-run=client", "-o", "yaml"]).await;
    assert!(!yaml.contains("status") && !yaml.contains("managed-by"), "{yaml}");
    let checked = incident.env.kubectl(&["create", "--dry-run=server", "-o", "name", "-f", "-"], &yaml).await;
    assert_eq!(checked.lines().count(), 2, "{checked}");

    let directory = incident.env.scratch.path().join("git");
    let args = ["rollback", &a, &b, "--output-dir", directory.to_str().unwrap()];
    let written = incident.ok(&args).await;
    assert_eq!(written.lines().count(), 2, "{written}");
    let path = directory.to_str().unwrap();
    let checked = incident.env.kubectl(&["create", "--dry-run=server", "-o", "name", "-f", path], "").await;
    assert_eq!(checked.lines().count(), 2, "{checked}");
    let again = incident.run(&args).await;
    assert!(again.code == 2 && again.stderr.contains("exists, and nothing was written"), "{again:?}");

    let said = incident.run(&["rollback", &a, "--dry-run=server"]).await;
    assert!(said.code == 0 && said.stdout.ends_with(" created (server dry run)\n"), "{said:?}");
    assert!(said.stderr.starts_with("validated only"), "{said:?}");
    assert!(said.stderr.contains("for the effect, see kubectl cde preview"), "{said:?}");
    assert!(incident.stored().await.is_empty());
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let incident = Incident::without_operator().await;
    let nobody = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}});
    incident.env.kubectl(&["create", "-f", "-"], &nobody.to_string()).await;
    let namespace = &incident.env.namespace;
    let kubeconfig = incident.env.control_plane.service_account(namespace, "nobody", None).await.unwrap();
    let (a, b) = (new_id().to_string(), new_id().to_string());
    let ended = run(incident.plugin_as(&kubeconfig, &["rollback", &a, &b]), "").await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("you may not create migrationrollbacks rollback-"), "{ended:?}");
    assert!(ended.stderr.contains("none of the 2 requests was created"), "{ended:?}");
}
