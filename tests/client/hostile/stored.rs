//! Invalid objects that an older or missing schema let through, on a real API server with such a schema: only the
//! configured server is called, nothing secret shows, and valid objects are handled as usual.

use std::collections::HashSet;
use std::net::TcpListener;

use cde_sandbox::cde::{Connector, Ledger, new_id};
use futures::{StreamExt as _, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::hostile::draw::CONNECTOR;
use crate::hostile::rules::objects;
use cde_harness::{ControlPlane, Flags, Kind, Request, TestEnv};

/// Changes a schema to one with the same fields but without rules, bounds, or types where none is needed.
fn let_all_through(schema: &mut JSONSchemaProps) {
    let fields = schema.properties.take().unwrap_or_default();
    let selectable = |name: &str| matches!(name, "connectorID" | "outcome" | "reason");
    let items = schema.items.take();
    *schema = JSONSchemaProps {
        type_: schema.type_.take().filter(|_| !fields.is_empty()),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    let relaxed = fields.into_iter().map(|(name, mut field)| {
        match name.as_str() {
            "metadata" | "apiVersion" | "kind" => {}
            name if selectable(name) => {
                field = JSONSchemaProps { type_: Some("string".to_owned()), ..JSONSchemaProps::default() };
            }
            _ => let_all_through(&mut field),
        }
        (name, field)
    });
    schema.properties =
        Some(relaxed.collect()).filter(|all: &std::collections::BTreeMap<_, _>| !all.is_empty());
    if let Some(JSONSchemaPropsOrArray::Schema(mut items)) = items {
        let_all_through(&mut items);
        schema.type_ = Some("array".to_owned());
        schema.x_kubernetes_preserve_unknown_fields = None;
        schema.x_kubernetes_list_type = Some("atomic".to_owned());
        schema.items = Some(JSONSchemaPropsOrArray::Schema(items));
    }
}

/// Returns hand-written specs and statuses. `evil` is a server that must not be contacted.
fn hand_written(evil: &str) -> Vec<(Kind, Value, Value)> {
    let id = || json!(new_id());
    let later = "9998-12-31T00:00:00Z";
    let mut all = Vec::new();
    for bad in [
        "",
        ".",
        "..",
        ".\t.",
        ".\n",
        "\t",
        "../../admin",
        "a/b",
        "a?b#c",
        "%2e%2e",
        evil,
        "//evil",
        "\\\\evil",
        "ü 例",
        "\u{202e}",
        "\r\nx: y",
        "@evil",
        "_sandbox",
    ] {
        let spec = json!({"connectorID": bad, "version": "main", "notAfter": later});
        all.push((Kind::Rollback, spec.clone(), json!({})));
        all.push((Kind::Restore, spec, json!({})));
        let versioned = json!({"connectorID": id(), "version": bad, "notAfter": later});
        // Not resolved by anyone, and not to be resolved.
        all.push((
            Kind::Rollback,
            versioned,
            json!({"operation": {"id": bad, "attempts": 0, "backoffStep": 0}}),
        ));
    }
    for huge in ["x".repeat(1 << 20), "../".repeat(1 << 18)] {
        all.push((Kind::Restore, json!({"connectorID": huge}), json!({})));
        all.push((
            Kind::Rollback,
            json!({"connectorID": id(), "version": huge, "notAfter": later}),
            json!({}),
        ));
    }
    let operation = |more: Value| {
        let mut operation = json!({"id": id(), "attempts": 1, "backoffStep": 1});
        operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"operation": operation})
    };
    for status in [
        operation(json!({"server": evil})),
        operation(json!({"attempts": u64::MAX})),
        operation(json!({"attempts": u32::MAX, "backoffStep": u32::MAX, "unknownAttempts": u32::MAX})),
        operation(json!({"attempts": -1})),
        operation(json!({"attempts": "many"})),
        operation(json!({"inFlight": {"holder": "x", "attempt": 1}})),
        operation(json!({"inFlight": {"holder": "x", "attempt": 1, "until": later}})),
        operation(json!({"inFlight": {"holder": "x", "attempt": 1, "until": "9999-12-31T23:59:59Z"}})),
        operation(json!({"inFlight": {"holder": "x", "attempt": 1, "until": "1970-01-01T00:00:00Z"},
            "lastAttemptTime": later})),
        operation(json!({"nextAttemptTime": later})),
        operation(json!({"nextAttemptTime": later, "waitStartTime": "1970-01-01T00:00:00Z",
            "lastError": {"time": "1970-01-01T00:00:00Z", "code": 429, "message": "m"}})),
        operation(
            json!({"nextAttemptTime": later, "lastError": {"time": later, "code": 429, "message": "m"}}),
        ),
        operation(
            json!({"startTime": "-000001-01-01T00:00:00Z", "lastError": {"time": later, "code": 99, "message": "\u{0}"}}),
        ),
        operation(json!({"lastError": {"time": later, "code": 70000, "message": 1}})),
        json!({"conditions": null}),
        json!({"conditions": [null, 1, {}]}),
        json!({"reason": "Weird"}),
        json!({"outcome": "Weird"}),
        json!({"operation": []}),
        json!("status"),
        json!({"resolvedVersion": {"major": i64::MIN, "version": "x".repeat(100_000)}}),
        json!({"observedGeneration": 1e30, "lastHandledRetry": later}),
    ] {
        all.push((Kind::Restore, json!({"connectorID": id()}), status.clone()));
        all.push((
            Kind::Rollback,
            json!({"connectorID": id(), "version": "main", "notAfter": later}),
            status,
        ));
    }
    for spec in [
        json!({}),
        json!(null),
        json!([]),
        json!({"connectorID": id(), "notAfter": "soon"}),
        json!({"connectorID": id(), "suspend": "yes", "deadlineSeconds": i64::MIN}),
        json!({"connectorID": id(), "deadlineSeconds": i64::MAX}),
        json!({"connectorID": id(), "version": 1, "notAfter": later, "preconditions": {"state": "\u{1b}[31m"}}),
        json!({"connectorID": id(), "version": "1", "notAfter": "-009998-01-01T00:00:00Z"}),
    ] {
        all.push((Kind::Restore, spec.clone(), json!({})));
        all.push((Kind::Rollback, spec, json!({})));
    }
    all
}

/// Returns generated ones, always the same, so that a failure can be repeated.
fn generated(count: usize) -> Vec<(Kind, Value, Value)> {
    let mut runner = TestRunner::deterministic();
    let mut draw = |kind: &'static str| objects(kind).new_tree(&mut runner).unwrap().current();
    let kinds = [(Kind::Restore, "ConnectorRestore"), (Kind::Rollback, "MigrationRollback")];
    let all = kinds.into_iter().cycle().take(count).map(|(kind, name)| {
        let object = draw(name);
        let (mut spec, status) = (object.get("spec").cloned(), object.get("status").cloned());
        if let Some(id) =
            spec.as_mut().and_then(|spec| spec.get_mut("connectorID")).filter(|id| *id == CONNECTOR)
        {
            *id = json!(new_id());
        }
        (kind, spec.unwrap_or_default(), status.unwrap_or_default())
    });
    all.collect()
}

fn text_of<'a>(spec: &'a Value, field: &str) -> Option<&'a str> {
    spec.get(field)?.as_str()
}

/// Stores an object as it is, if the API server accepts it.
async fn store(
    env: &TestEnv,
    kind: Kind,
    name: &str,
    spec: &Value,
    status: &Value,
) -> Result<(), kube::Error> {
    let manifest = Request::new(kind, name).manifest().yaml();
    let mut object: DynamicObject = serde_json::from_str(&manifest).unwrap();
    object.metadata.name = Some(name.to_owned());
    object.data["spec"] = spec.clone();
    let api = env.objects(kind);
    api.create(&PostParams::default(), &object).await?;
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
}

/// Fault 38: for an API server that rejects nothing.
#[tokio::test]
async fn invalid_objects_disturb_no_valid_object_and_cannot_choose_a_path() {
    let env = TestEnv::on(ControlPlane::own().await).await;
    env.control_plane.apply_crds_with(let_all_through).await;
    let evil = TcpListener::bind("127.0.0.1:0").unwrap();
    evil.set_nonblocking(true).unwrap();
    let mut all = hand_written(&format!("http://{}", evil.local_addr().unwrap()));
    all.extend(generated(120));
    let stored = stream::iter(all.iter().enumerate()).map(async |(number, (kind, spec, status))| {
        if let Some(id) = text_of(spec, "connectorID").and_then(|id| id.parse().ok()) {
            env.sandbox.put(Connector { in_bin: *kind == Kind::Restore, ..Connector::migrated(id) });
        }
        store(&env, *kind, &format!("o{number}"), spec, status).await.is_ok()
    });
    let stored = stored.buffer_unordered(16).filter(|stored| std::future::ready(*stored)).count().await;
    assert!(stored * 4 > all.len() * 3, "the API server accepted only {stored} of {}", all.len());

    let flags =
        Flags::fast_retries().with("--timeout", "1s").with("--concurrency", "1").env("RUST_LOG", "debug");
    let mut operator = env.start(flags).await;

    for kind in [Kind::Restore, Kind::Rollback] {
        let sound = Request::new(kind, "sound");
        env.sandbox.put(sound.ready_connector());
        env.apply(&sound.manifest()).await;
        env.wait_for(&sound, sound.success()).await;
    }
    env.settle().await;
    let (_, metrics) = operator.probe("/metrics").await.expect("the operator runs");
    assert!(metrics.contains("cde_operator_undecodable_objects_total"), "{metrics}");
    let log = operator.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(evil.accept().is_err(), "a server that an object named was called");
    let shown = log + &env.kubectl(&["get", "cde", "-o", "json"], "").await;
    assert!(!shown.contains(&env.sandbox.token()), "the token shows");
    assert_own_paths(&env.sandbox.ledger(), &all);
}

/// Checks that each call was about the connector of an object, and nothing else.
fn assert_own_paths(ledger: &Ledger, all: &[(Kind, Value, Value)]) {
    let connectors: HashSet<&str> =
        all.iter().filter_map(|(_, spec, _)| text_of(spec, "connectorID")).collect();
    let versions: HashSet<&str> = all.iter().filter_map(|(_, spec, _)| text_of(spec, "version")).collect();
    let text =
        |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned();
    let mut others = 0;
    for call in ledger.calls() {
        let segments: Vec<String> = call.path.split('/').skip(1).map(text).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (connector, version) = match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["connectors", connector]) | ("PATCH", ["connectors", connector, "restore-from-bin"]) => {
                (connector, "main")
            }
            ("POST", ["connectors", connector, "versions", version, "migration", "rollback"]) => {
                (connector, *version)
            }
            _ => panic!("a call to a path of another shape: {call}"),
        };
        assert!(version.parse::<i64>().is_ok() || versions.contains(version), "{call}");
        others += usize::from(!connectors.contains(connector));
    }
    // The calls of the valid objects, a few each.
    assert!(others < 40, "{others} calls for connectors that no object names\n{ledger}");
}
