//! `preview`, and `rollback --pin`.

use cde_harness::Kind;
use cde_sandbox::cde::{Connector, Operation, Version, new_id};
use serde_json::json;

use super::fixture::Incident;

#[tokio::test]
async fn a_list_is_previewed_without_a_call() {
    let incident = Incident::new().await;
    let (shop, absent) = (incident.migrated("shop"), new_id());
    let list = format!("id,name\n{shop},shop\n{absent},absent\n");
    let ended = incident.run_with(&["preview", "-f", "-"], &list).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("NAME "), "{ended:?}");
    let line = |name: &str| ended.stdout.lines().find(|line| line.starts_with(name)).unwrap();
    for part in
        ["shop", "1.0.0", "synchronized-to-prod", " 25 ", " 24 ", "Would roll back version 1.0.0 of shop"]
    {
        assert!(line("mrb/rollback-shop-").contains(part), "{part}: {ended:?}");
    }
    assert!(line("mrb/rollback-absent-").contains("The connector cannot be read: not found."), "{ended:?}");
    assert!(incident.env.sandbox.calls(Operation::Changing, shop).is_empty());
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&incident.ok(&["preview"]).await), sorted(&ended.stdout));
    assert_eq!(incident.ok(&["preview", &shop.to_string()]).await.lines().count(), 2);
}

#[tokio::test]
async fn a_second_rollback_of_a_connector_is_asked_for() {
    let incident = Incident::new().await;
    let shop = incident.migrated("shop").to_string();
    incident.ok(&["rollback", &shop, "--name", "first"]).await;
    incident.env.wait_for_reason(Kind::Rollback, "first", "RolledBack").await;
    let asked = incident.run(&["rollback", &shop]).await;
    assert_eq!(asked.code, 2, "{asked:?}");
    let warning = format!("warning: mrb/first rolled back the connector {shop} at 20");
    let may = ": a second rollback may put the new executable back\n";
    assert!(asked.stderr.starts_with(&warning) && asked.stderr.contains(may), "{asked:?}");
    assert!(
        asked.stderr.contains("error: Roll back this connector again? There is no terminal"),
        "{asked:?}"
    );
    assert_eq!(incident.stored().await.len(), 1);
    let shown = incident.run_with(&["preview", "-f", "-"], &shop).await;
    assert!(shown.code == 0 && shown.stderr.starts_with(&warning), "{shown:?}");
    incident.ok(&["rollback", &shop, "--name", "second", "--yes"]).await;
    incident.env.wait_until(Kind::Rollback, "second", "ended", |object| object.outcome().is_some()).await;
    // The same request again is no second rollback.
    let again = incident.run(&["rollback", &shop, "--name", "first"]).await;
    assert!(again.code == 0 && !again.stderr.contains("a second rollback"), "{again:?}");
}

#[tokio::test]
async fn a_pinned_rollback_hits_the_release_that_was_seen() {
    let incident = Incident::new().await;
    let shop = incident.migrated("shop");
    let args = ["rollback", &shop.to_string(), "--name", "shop", "--pin", "--yes"];
    let said = incident.ok(&args).await;
    assert!(
        said.contains("Would roll back version 1.0.0 of shop") && said.ends_with("mrb/shop started\n"),
        "{said}"
    );
    let object = incident.env.wait_for_reason(Kind::Rollback, "shop", "RolledBack").await;
    let pinned = json!({"state": "synchronized-to-prod", "executables": {"legacy": 24, "production": 25}});
    assert_eq!(object.0["spec"]["preconditions"], pinned);
}

#[tokio::test]
async fn a_rollback_that_nobody_confirms_stays_pinned_and_suspended() {
    let incident = Incident::new().await;
    let (shop, absent) = (incident.migrated("shop"), new_id());
    let list = format!("id,name\n{shop},shop\n{absent},absent\n");
    let ended = incident.run_with(&["rollback", "-f", "-", "--pin"], &list).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("the requests exist, pinned and suspended"), "{ended:?}");
    assert!(ended.stderr.contains("is not pinned and stays suspended"), "{ended:?}");
    // A release after the preview: the resumed request must not hit it.
    let released = Version::new("1.0.0").state("synchronized-to-prod").production(26, 5).legacy(24);
    incident.env.sandbox.put(Connector::live(shop).version(released).main(1));
    let name = incident.ok(&["status", &shop.to_string(), "-o", "jsonpath={.metadata.name}"]).await;
    incident.ok(&["resume", &name]).await;
    incident.env.wait_for_reason(Kind::Rollback, &name, "PreconditionFailed").await;
    assert!(incident.env.sandbox.calls(Operation::Changing, shop).is_empty());
}

/// Returns a list of three connectors that can be rolled back and one that does not exist, with the ID of the first.
fn list(incident: &Incident) -> (String, uuid::Uuid) {
    let (first, second) = (incident.migrated("a"), incident.migrated("b"));
    let list = format!("id,name\n{first},a\n{second},b\n{},c\n{},d\n", incident.migrated("c"), new_id());
    (list, first)
}

#[tokio::test]
async fn a_list_is_pinned_before_its_first_batch_starts() {
    let incident = Incident::new().await;
    let (list, _) = list(&incident);
    let args = ["rollback", "-f", "-", "--pin", "--batch-size", "2", "--yes"];
    let ended = incident.run_with(&args, &list).await;
    assert_eq!(ended.code, 1, "one is not pinned: {ended:?}");
    assert!(ended.stdout.starts_with("4 requests created, suspended\nNAME "), "{ended:?}");
    assert_eq!(ended.stdout.matches("Would roll back version 1.0.0 of ").count(), 3, "{ended:?}");
    let batches = "started 2 of 4 requests, 1 left\n\
                   started 1 of 4 requests, 0 left\n\
                   4 requests: 1 waiting, 3 done\n";
    assert!(ended.stdout.ends_with(batches), "{ended:?}");
    assert!(ended.stderr.contains("mrb/rollback-d-"), "{ended:?}");
    assert!(ended.stderr.contains("1 of 4 requests is not pinned and stays suspended: see "), "{ended:?}");
    let pinned = json!({"state": "synchronized-to-prod", "executables": {"legacy": 24, "production": 25}});
    let stored = incident.stored().await;
    assert_eq!(stored.iter().filter(|object| object["spec"]["preconditions"] == pinned).count(), 3);
    assert_eq!(stored.iter().filter(|object| object["spec"]["suspend"] == true).count(), 1);
}

#[tokio::test]
async fn a_pinned_list_that_nobody_confirms_starts_later_with_its_pins_or_new_ones() {
    let incident = Incident::new().await;
    let (list, first) = list(&incident);
    let args = ["rollback", "-f", "-", "--pin", "--batch-size", "10"];
    let refused = incident.run_with(&args, &list).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    let question = "Start 3 rollbacks in batches of 10, pinned to what the table shows?";
    assert!(refused.stderr.contains(question), "{refused:?}");
    assert!(refused.stderr.contains("start them with kubectl cde resume -l cde."), "{refused:?}");
    // A release after the preview. The list goes on without the request that did not see it.
    let released = Version::new("1.0.0").state("synchronized-to-prod").production(26, 5).legacy(24);
    incident.env.sandbox.put(Connector::live(first).version(released).main(1));
    let (_, selector) = refused.stderr.split_once("resume -l ").unwrap();
    let selector = selector.split_whitespace().next().unwrap();
    let resumed =
        incident.run(&["resume", "-l", selector, "--yes", "--batch-size", "1", "--max-failures", "0"]).await;
    assert_eq!(resumed.code, 1, "{resumed:?}");
    assert!(resumed.stdout.contains(" PreconditionFailed: "), "{resumed:?}");
    assert!(incident.env.sandbox.calls(Operation::Changing, first).is_empty());
    // The same command pins what has not started to what it shows now.
    let again = incident.run_with(&[&args[..], &["--yes", "--max-failures", "1"]].concat(), &list).await;
    assert!(again.stderr.contains("existed already (PreconditionFailed)"), "{again:?}");
    assert_eq!(again.stdout.matches("Would roll back version 1.0.0 of ").count(), 2, "{again:?}");
    assert!(
        again
            .stdout
            .ends_with("started 2 of 4 requests, 0 left\n4 requests: 1 needs a person, 1 waiting, 2 done\n"),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_pin_of_requests_that_exist_changes_nothing() {
    let incident = Incident::new().await;
    let shop = incident.migrated("shop").to_string();
    let args = ["rollback", &shop, "--name", "shop", "--pin", "--yes"];
    incident.ok(&args).await;
    let again = incident.run(&args).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(
        again.stderr.contains("error: nothing was created or started, because all requests existed already"),
        "{again:?}"
    );
}
