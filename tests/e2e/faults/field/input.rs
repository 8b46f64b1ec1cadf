//! Values that an older CRD, or the CDE, let through.

use cde_sandbox::cde::{Connector, Fault, Operation, Version, new_id};
use serde_json::{Value, json};

use super::{until_metric, warnings};
use crate::faults::request::{Request, a_rollback, all_succeed_once, apply, both};
use cde_harness::{ControlPlane, Flags, Kind, TestEnv, property, restore, rollback};

/// Returns texts that are not UUIDs in the API's format. Some would leave the path that they are put into.
fn invalid_ids() -> Vec<String> {
    let id = new_id();
    let mut odd = ["", "bin", "..", "../../admin", "..%2f..%2fadmin", "%2e%2e", "a b", "?x=1", "é", "\u{0}"]
        .map(str::to_owned)
        .to_vec();
    odd.extend([
        format!("{id}/versions"),
        format!("{id}?x=1"),
        format!("{id}#x"),
        format!(" {id}"),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{}g", &id.to_string()[..35]),
    ]);
    odd
}

fn request_with_id(kind: Kind, number: usize, id: &str) -> Value {
    let (name, connector) = (format!("odd-{number}-{}", kind.short()), new_id());
    let manifest = match kind {
        Kind::Restore => restore(&name, connector),
        Kind::Rollback => rollback(&name, connector, "main"),
    };
    let mut manifest: Value = serde_json::from_str(&manifest.yaml()).unwrap();
    manifest["spec"]["connectorID"] = json!(id);
    manifest
}

/// Fault 51: in the list and in the watch.
#[tokio::test]
async fn a_connector_id_that_is_not_a_uuid_is_logged_once_and_never_part_of_a_path() {
    let env = TestEnv::on(ControlPlane::own().await).await;
    let loosen = |schema: &mut _| {
        let id = property(property(schema, "spec"), "connectorID");
        (id.pattern, id.format, id.min_length, id.max_length) = (None, None, None, None);
        id.x_kubernetes_validations = None;
    };
    env.control_plane.apply_crds_with(loosen).await;
    let ids = invalid_ids();
    let odd: Vec<Value> = ids
        .iter()
        .enumerate()
        .flat_map(|(number, id)| {
            [Kind::Restore, Kind::Rollback].map(|kind| request_with_id(kind, number, id))
        })
        .collect();
    let create = async |odd: &[Value]| {
        let all = json!({"apiVersion": "v1", "kind": "List", "items": odd}).to_string();
        env.kubectl(&["create", "-f", "-"], &all).await;
    };
    let (listed, watched) = odd.split_at(ids.len());
    create(listed).await;
    let mut operator = env.start(Flags::fast_retries()).await;
    create(watched).await;
    let requests = both(&env.sandbox, "sound");
    apply(&env, &requests).await;

    all_succeed_once(&env, &requests).await;

    let count = f64::from(u32::try_from(ids.len()).unwrap());
    for kind in ["ConnectorRestore", "MigrationRollback"] {
        let labels = [("kind", kind)];
        until_metric(&mut operator, "cde_operator_undecodable_objects_total", &labels, count).await;
    }
    env.kubectl(&["label", "crst,mrb", "--all", "seen=again"], "").await;
    env.settle().await;
    for odd in &odd {
        let name = odd["metadata"]["name"].as_str().unwrap();
        let lines = warnings(&operator, &[&format!("{name}\"")]);
        assert_eq!(lines.len(), 1, "{name}: {lines:#?}");
    }
    let ledger = env.sandbox.ledger();
    let strangers = ledger.calls().iter().filter(|call| call.operation.is_none());
    assert_eq!(strangers.count(), 0, "{ledger}");
    // Two calls of the valid rollback, one of the valid restore, and two of the marker.
    assert_eq!(ledger.total(), 5, "{ledger}");
}

const NO_VERSIONS: [&str; 6] = ["next", "", "2.x", "v2", "2", "2.0.0.0"];

/// Returns a rollback of a connector with a version with this text beside the one that can be rolled back.
fn beside(env: &TestEnv, name: &str, text: &str) -> Request {
    let request = a_rollback(&env.sandbox, name);
    let odd = Version::new(text).state("built");
    let connector = Connector::migrated(request.id).version(odd);
    env.sandbox.put(connector);
    request
}

/// Fault 57: at first, with `preconditions`, and while verifying.
#[tokio::test]
async fn an_invalid_version_does_not_affect_rollbacks_of_another_major_number() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let mut plain = Vec::new();
    let mut lost = Vec::new();
    for (number, text) in NO_VERSIONS.iter().enumerate() {
        let one = beside(&env, &format!("plain-{number}"), text);
        env.apply(&rollback(&one.name, one.id, "1")).await;
        plain.push(one);
        let one = beside(&env, &format!("guarded-{number}"), text);
        let condition = json!({"state": "synchronized-to-prod", "executables": {"production": 25}});
        env.apply(&rollback(&one.name, one.id, "1").spec("preconditions", condition)).await;
        plain.push(one);
        let one = beside(&env, &format!("lost-{number}"), text);
        let fault = Fault::on(Operation::Changing).connector(one.id).answer(500).after_effect();
        env.sandbox.inject(fault);
        env.apply(&rollback(&one.name, one.id, "1")).await;
        lost.push(one);
    }

    for (requests, evidence) in [(&plain, "Response"), (&lost, "ObservedChange")] {
        for request in requests {
            let end = request.succeeds(&env).await;
            assert_eq!(end.operation()["evidence"], evidence, "{end:#?}");
            assert_eq!(end.status()["resolvedVersion"], json!({"major": 1, "version": "1.0.0"}), "{end:#?}");
            assert_eq!(end.status()["before"]["executables"]["production"], 25, "{end:#?}");
            assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", request.name);
        }
    }
}

/// Fault 57: the invalid version may be the highest.
#[tokio::test]
async fn an_invalid_version_delays_a_rollback_of_latest_until_it_is_gone() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let request = beside(&env, "latest", "next");
    env.apply(&rollback(&request.name, request.id, "latest")).await;
    request.wait_for_reason(&env, "Retrying").await;
    env.settle().await;
    assert_eq!(request.calls(&env.sandbox).len(), 0, "{}", env.sandbox.ledger());

    env.sandbox.put(Connector::migrated(request.id));

    let end = request.succeeds(&env).await;
    assert_eq!(end.status()["resolvedVersion"]["major"], 1, "{end:#?}");
}
