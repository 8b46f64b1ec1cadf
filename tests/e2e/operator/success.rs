//! Successful requests and their status.

use cde_sandbox::cde::{Connector, Operation, Version, new_id};
use serde_json::{Value, json};

use cde_harness::{Kind, Object, TestEnv, restore, rollback};

/// Returns the status without the values that differ from run to run, and checks that these are present.
fn timeless(object: &Object) -> Value {
    let mut status = object.status().clone();
    for field in ["id", "startTime", "lastAttemptTime", "completionTime"] {
        let taken = status["operation"].as_object_mut().expect("an operation").remove(field);
        assert!(taken.is_some_and(|value| value.is_string()), "operation.{field} in {object:#?}");
    }
    let conditions = status.as_object_mut().expect("an object").remove("conditions").expect("conditions");
    let ready = conditions.as_array().expect("a list")[0].clone();
    status["ready"] = json!([ready["status"], ready["reason"], ready["message"]]);
    status
}

#[tokio::test]
async fn a_rollback_is_carried_out_once_and_its_status_has_the_whole_result() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let id = new_id();
    let version = Version::new("1.0.0").state("synchronized-to-prod").production(25, 5).legacy(24);
    env.sandbox.put(Connector::live(id).version(version.development(26, 6)).main(1));
    env.apply(&rollback("back", id, "main")).await;

    let done = env.wait_for_reason(Kind::Rollback, "back", "RolledBack").await;

    let before = json!({
        "state": "synchronized-to-prod",
        "executables": {"legacy": 24, "production": 25, "development": 26},
        "platformConnectors": {"production": 5, "development": 6},
    });
    let message = "Rolled back version 1.0.0: production executable 25 → 24.";
    let expected = json!({
        "ready": ["True", "RolledBack", message],
        "reason": "RolledBack",
        "outcome": "Succeeded",
        "state": "synchronized-to-prod",
        "resolvedVersion": {"major": 1, "version": "1.0.0"},
        "before": before,
        "connector": {"name": "Name"},
        "executables": {"legacy": 25, "production": 24, "development": 26},
        "platformConnectors": {"production": 5, "development": 6},
        "operation": {
            "server": env.sandbox.url(),
            "attempts": 1,
            "backoffStep": 0,
            "evidence": "Response",
        },
    });
    assert_eq!(timeless(&done), expected);
    let calls = env.sandbox.calls(Operation::Any, id);
    let operations: Vec<_> = calls.iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Some(Operation::Read), Some(Operation::Rollback)]);
    let request = done.operation()["id"].as_str().expect("an id");
    assert_eq!(calls[1].idempotency_key.as_deref(), Some(request));
    assert_eq!(calls[1].request_id, Some(format!("{request}-1")));
    assert_eq!(env.sandbox.effects(id), 1);
    env.flush_events().await;
    let told = [("Normal".to_owned(), "RolledBack".to_owned(), message.to_owned())];
    assert_eq!(env.events("back").await, told);
}

#[tokio::test]
async fn a_restore_is_carried_out_once_and_its_status_has_the_whole_result() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let id = new_id();
    let old = Version::new("1.9.0").state("synchronized-to-prod").production(25, 5).legacy(24);
    let new = Version::new("1.10.0").state("built").development(26, 6);
    let connector = Connector::in_bin(id).version(old).version(new).version(Version::new("2.0.0")).main(1);
    env.sandbox.put(connector.name("Shop"));
    env.apply(&restore("out", id)).await;

    let done = env.wait_for_reason(Kind::Restore, "out", "Restored").await;

    let owner = env.sandbox.get(id).expect("the connector").owner;
    let message = "Restored the connector Shop from the bin.";
    let expected = json!({
        "ready": ["True", "Restored", message],
        "reason": "Restored",
        "outcome": "Succeeded",
        "state": "built",
        "connector": {
            "name": "Shop", "type": "datasource", "flow": "default", "mainVersionNumber": 1,
            "owner": owner, "integrator": owner,
        },
        "versions": [
            {"version": "2.0.0", "state": "created"},
            {
                "version": "1.10.0", "state": "built",
                "executables": {"development": 26}, "platformConnectors": {"development": 6},
            },
            {
                "version": "1.9.0", "state": "synchronized-to-prod",
                "executables": {"legacy": 24, "production": 25}, "platformConnectors": {"production": 5},
            },
        ],
        "operation": {
            "server": env.sandbox.url(),
            "attempts": 1,
            "backoffStep": 0,
            "evidence": "Response",
        },
    });
    assert_eq!(timeless(&done), expected);
    let calls = env.sandbox.calls(Operation::Any, id);
    assert_eq!(calls.len(), 1, "nothing is read: {calls:?}");
    let request = done.operation()["id"].as_str().expect("an id");
    assert_eq!(calls[0].idempotency_key.as_deref(), Some(request));
    assert_eq!(env.sandbox.effects(id), 1);
    env.flush_events().await;
    let told = [("Normal".to_owned(), "Restored".to_owned(), message.to_owned())];
    assert_eq!(env.events("out").await, told);
}

#[tokio::test]
async fn a_restored_connector_shows_its_ten_newest_versions_and_a_state() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let id = new_id();
    let numbers = (0..60).map(|minor| format!("1.{minor}.0"));
    let many = numbers.fold(Connector::in_bin(id), |connector, number| {
        let state = if number == "1.59.0" { "built" } else { "created" };
        connector.version(Version::new(number).state(state))
    });
    env.sandbox.put(many);
    env.apply(&restore("many", id)).await;

    let done = env.wait_for_reason(Kind::Restore, "many", "Restored").await;

    let versions = done.status()["versions"].as_array().expect("versions");
    let shown: Vec<&str> = versions.iter().filter_map(|version| version["version"].as_str()).collect();
    let newest: Vec<String> = (50..60).rev().map(|minor| format!("1.{minor}.0")).collect();
    assert_eq!(shown, newest);
    assert_eq!(done.status()["state"], "built");
    assert_eq!(done.status()["connector"]["mainVersionNumber"], Value::Null);
}

#[tokio::test]
async fn a_restore_of_a_live_connector_has_nothing_left_to_do() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let id = new_id();
    env.sandbox.put(Connector::migrated(id).name("Shop"));
    env.apply(&restore("live", id)).await;

    let done = env.wait_for_reason(Kind::Restore, "live", "AlreadyRestored").await;

    assert_eq!(done.operation()["evidence"], "ObservedLive");
    assert_eq!(done.attempts(), 1);
    assert_eq!(done.status()["state"], "synchronized-to-prod");
    assert_eq!(done.status()["versions"][0]["version"], "1.0.0");
    assert_eq!(done.message(), "Nothing to do: the connector Shop is not in the bin.");
    assert_eq!(env.sandbox.effects(id), 0);
    assert_eq!(env.sandbox.calls(Operation::Read, id).len(), 1);
    assert_eq!(env.until_events("live", 1).await[0].0, "Normal");
}
