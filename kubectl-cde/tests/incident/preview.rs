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
