//! The response and the effect of each operation.

use cde_sandbox::cde::{Connector, RepeatedRollback, RollbackEffect, Sandbox, Version, new_id};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Got, read, restore, rollback, rollback_path, send, send_with};

const NEVER: &str =
    "Operation is only allowed for connectors that were previously synchronized to production";

/// Returns the state and the production and legacy executables in the response.
fn summary(version: &Value) -> (String, Value, Value) {
    let state = version["state"].as_str().unwrap().to_owned();
    let legacy = version["config"]["migration"]["legacy-executable"].clone();
    (state, version["platform_prod_reference"]["executable"].clone(), legacy)
}

async fn with(connector: Connector) -> (Sandbox, Uuid) {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), connector.id);
    sandbox.put(connector);
    (sandbox, id)
}

fn says(got: &Got, status: u16, message: &str) {
    assert_eq!((got.status, got.message().as_str()), (status, message));
}

#[tokio::test]
async fn refusals_have_the_documented_messages() {
    let (sandbox, id) = with(Connector::migrated(new_id())).await;
    let forbidden = new_id();
    sandbox.put(Connector::migrated(forbidden).forbidden());
    says(&restore(&sandbox, id).await, 404, "Connector not found.");
    says(&read(&sandbox, new_id()).await, 404, "Connector not found.");
    says(&rollback(&sandbox, new_id()).await, 404, "Connector does not have specified version.");
    says(&rollback(&sandbox, forbidden).await, 403, "Access denied for user.");
    says(&read(&sandbox, forbidden).await, 403, "Access denied for user.");
    for header in ["", "authorization: Bearer wrong\r\n", "authorization: Basic wrong\r\n"] {
        let got = send_with(&sandbox, "POST", &rollback_path(id, "main"), header, "").await;
        assert_eq!(got.json(), json!({"message": "You have to be authorized to access this resource."}));
        assert_eq!(got.status, 401);
    }
    assert_eq!(sandbox.ledger().all_effects(), 0);
}

#[tokio::test]
async fn only_a_production_version_with_a_legacy_executable_can_be_rolled_back() {
    for version in
        [Version::new("1.0.0").legacy(24), Version::new("1.0.0").production(25, 5), Version::new("1.0.0")]
    {
        let (sandbox, id) = with(Connector::live(new_id()).version(version).main(1)).await;
        let got = rollback(&sandbox, id).await;
        assert_eq!((got.status, got.json()), (400, json!({"message": NEVER, "errors": []})));
        assert_eq!(sandbox.effects(id), 0);
    }
}

#[tokio::test]
async fn a_malformed_path_is_rejected_as_by_an_ingress() {
    let (sandbox, id) = with(Connector::migrated(new_id())).await;
    for (method, path) in [
        ("POST", rollback_path(id, "mainX")),
        ("POST", rollback_path(id, "-1")),
        ("POST", rollback_path(id, "1.0")),
        ("GET", rollback_path(id, "main")),
        ("GET", "/connectors/not-a-uuid".to_owned()),
        ("GET", format!("/connectors/{}", id.simple())),
        ("GET", format!("/connectors/{id}/")),
        ("GET", "/".to_owned()),
    ] {
        let got = send(&sandbox, method, &path).await;
        assert_eq!(got.status, 404, "{path}");
        assert!(got.head.contains("text/html") && got.body.starts_with(b"<html>"), "{path}: {got:?}");
    }
}

#[tokio::test]
async fn version_words_resolve_as_documented() {
    let version = |text: &str| Version::new(text).state("synchronized-to-prod").production(25, 5).legacy(24);
    let connector = Connector::live(new_id())
        .version(version("1.9.0"))
        .version(version("1.10.0"))
        .version(version("3.0.0"))
        .version(version("20.0.0").deleted())
        .main(1);
    let (sandbox, id) = with(connector).await;
    for (word, expected) in [("main", "1.10.0"), ("latest", "3.0.0"), ("1", "1.10.0"), ("20", "20.0.0")] {
        let got = send(&sandbox, "POST", &rollback_path(id, word)).await;
        assert_eq!(got.json()["data"]["version"], expected, "{word}");
    }
    for word in ["2", "99999999999999999999999999"] {
        let got = send(&sandbox, "POST", &rollback_path(id, word)).await;
        says(&got, 404, "Connector does not have specified version.");
    }
    let (sandbox, id) = with(Connector::live(new_id()).version(version("1.0.0"))).await;
    says(&rollback(&sandbox, id).await, 404, "Connector does not have specified version.");
}

#[tokio::test]
async fn a_rollback_has_the_effect_that_the_connector_specifies() {
    let prod = "synchronized-to-prod".to_owned();
    for (effect, expected) in [
        (RollbackEffect::Swap, (prod.clone(), json!(24), json!(25))),
        (RollbackEffect::ToLegacy, (prod.clone(), json!(24), Value::Null)),
        (RollbackEffect::StateOnly, ("synchronized-to-dev".to_owned(), json!(25), json!(24))),
        (RollbackEffect::Invisible, (prod.clone(), json!(25), json!(24))),
        (RollbackEffect::Moving, ("resynchronizing-to-prod".to_owned(), json!(25), json!(24))),
    ] {
        let (sandbox, id) = with(Connector::migrated(new_id()).on_rollback(effect)).await;
        let before = read(&sandbox, id).await.json()["data"]["main"].clone();
        let answered = rollback(&sandbox, id).await.json()["data"].clone();
        assert_eq!(summary(&answered), expected, "{effect:?}");
        assert_eq!(read(&sandbox, id).await.json()["data"]["main"], answered);
        assert_ne!(answered["updated-at"], before["updated-at"]);
        assert_eq!(sandbox.effects(id), 1);
    }
}

#[tokio::test]
async fn a_moving_version_rejects_rollbacks_until_it_is_settled() {
    let (sandbox, id) = with(Connector::migrated(new_id()).on_rollback(RollbackEffect::Moving)).await;
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    let moving = "Transition is not allowed, entity is resynchronizing-to-prod.";
    says(&rollback(&sandbox, id).await, 400, moving);
    sandbox.settle(id);
    let settled = read(&sandbox, id).await.json()["data"]["main"].clone();
    assert_eq!(summary(&settled), ("synchronized-to-prod".to_owned(), json!(24), json!(25)));
    assert_eq!(sandbox.effects(id), 1);
}

#[tokio::test]
async fn a_repeated_rollback_counts_again_unless_the_connector_refuses_it() {
    let (sandbox, id) = with(Connector::migrated(new_id()).on_rollback(RollbackEffect::ToLegacy)).await;
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    assert_eq!(sandbox.effects(id), 2);

    let refusing = Connector::migrated(new_id()).on_repeated_rollback(RepeatedRollback::Refused);
    let (sandbox, id) = with(refusing).await;
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    says(&rollback(&sandbox, id).await, 400, NEVER);
    assert_eq!(sandbox.effects(id), 1);
}

#[tokio::test]
async fn a_connector_that_forbids_reading_allows_everything_else() {
    let (sandbox, id) = with(Connector::migrated(new_id()).reading_forbidden()).await;
    says(&read(&sandbox, id).await, 403, "Access denied for user.");
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    sandbox.move_to_bin(id);
    assert_eq!(restore(&sandbox, id).await.status, 200);
    assert_eq!(sandbox.effects(id), 2);
}

#[tokio::test]
async fn the_bin_hides_a_connector_until_it_is_restored() {
    let (sandbox, id) = with(Connector::migrated(new_id())).await;
    let bin = format!("/connectors/{id}/move-to-bin");
    assert_eq!(send(&sandbox, "PATCH", &bin).await.status, 200);
    says(&read(&sandbox, id).await, 404, "Connector not found.");
    says(&send(&sandbox, "PATCH", &bin).await, 404, "Connector not found.");
    says(&rollback(&sandbox, id).await, 404, "Connector does not have specified version.");
    assert_eq!(restore(&sandbox, id).await.status, 200);
    assert_eq!(read(&sandbox, id).await.json()["data"]["main"]["deleted-at"], Value::Null);
    assert_eq!(sandbox.effects(id), 2);

    sandbox.put(Connector::in_bin(id).version(Version::new("1.0.0")).main(1).readable_in_bin());
    assert!(read(&sandbox, id).await.json()["data"]["main"]["deleted-at"].is_string());
    sandbox.put(Connector::migrated(id).in_use());
    says(&send(&sandbox, "PATCH", &bin).await, 400, "Connector is actively used on the platform.");
}

#[tokio::test]
async fn the_bin_is_listed_by_name_owner_and_page() {
    let (sandbox, id) = with(Connector::in_bin(new_id()).name("shoes")).await;
    for name in ["hats", "coats"] {
        sandbox.put(Connector::in_bin(new_id()).name(name));
    }
    sandbox.put(Connector::live(new_id()).name("shoes"));
    let owner = sandbox.get(id).unwrap().owner;
    for (query, count) in [
        (String::new(), 3),
        ("?name=shoes".to_owned(), 1),
        ("?from=1&limit=1".to_owned(), 1),
        ("?from=2".to_owned(), 1),
        (format!("?owners={owner},{}", new_id()), 3),
        (format!("?owners={}", new_id()), 0),
    ] {
        let got = send(&sandbox, "GET", &format!("/connectors/bin{query}")).await;
        assert_eq!(got.json()["data"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_replaced_token_is_no_longer_accepted() {
    let (sandbox, id) = with(Connector::migrated(new_id())).await;
    let old = format!("authorization: Bearer {}\r\n", sandbox.token());
    let path = format!("/connectors/{id}");
    sandbox.set_token("new");
    assert_eq!(send_with(&sandbox, "GET", &path, &old, "").await.status, 401);
    assert_eq!(read(&sandbox, id).await.status, 200);
    sandbox.accept_tokens(["one", "two"]);
    for (token, status) in [("one", 200), ("two", 200), ("new", 401)] {
        let header = format!("authorization: Bearer {token}\r\n");
        assert_eq!(send_with(&sandbox, "GET", &path, &header, "").await.status, status);
    }
}

#[tokio::test]
async fn a_client_that_trusts_its_authority_can_use_tls() {
    let sandbox = Sandbox::builder().tls().start().await.unwrap();
    let id = new_id();
    sandbox.put(Connector::migrated(id));
    assert!(sandbox.url().starts_with("https://127.0.0.1:"));
    assert_eq!(rollback(&sandbox, id).await.status, 200);
}
