//! The rules hold for objects of any readable shape and responses of any shape.

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

use crate::hostile::draw::{CONNECTOR, almost};
use crate::hostile::life::{Stored, run};
use crate::hostile::reconciliations::reconciliation;
use crate::hostile::{cases, life};

/// Returns an object with every field that the operator ever writes.
fn object(kind: &str) -> Value {
    let condition = json!({"type": "Ready", "status": "Unknown", "reason": "Retrying", "message": "m",
        "observedGeneration": 1, "lastTransitionTime": "2026-11-18T11:06:40Z"});
    let version = json!({"state": "synchronized-to-prod", "executables": {"legacy": 24, "production": 25},
        "platformConnectors": {"production": 5}});
    let mut restored = version.clone();
    restored["version"] = json!("1.0.0");
    let operation = json!({
        "id": "0d9f6a2e-8a37-4a35-9c6c-2f6a6d1c3b11", "server": "https://cde.example",
        "startTime": "2026-11-18T11:06:40Z", "attempts": 2, "backoffStep": 1, "unknownAttempts": 1,
        "lastAttemptTime": "2026-11-18T11:06:40Z", "waitStartTime": "2026-11-18T11:06:40Z",
        "nextAttemptTime": "2026-11-18T11:07:40Z",
        "inFlight": {"holder": "other", "attempt": 2, "until": "2026-11-18T11:07:15Z"},
        "evidence": "Response",
        "lastError": {"time": "2026-11-18T11:06:40Z", "code": 503, "reason": "NotFound", "message": "m"},
    });
    json!({
        "apiVersion": "cde.productsup.com/v1alpha1", "kind": kind,
        "metadata": {"name": "a", "namespace": "b", "uid": "c", "generation": 1, "resourceVersion": "7",
            "creationTimestamp": "2026-11-18T11:06:40Z",
            "annotations": {"cde.productsup.com/retry": "2026-11-18T11:06:41Z"}},
        "spec": {"connectorID": CONNECTOR, "version": "main", "notAfter": "2026-12-30T00:00:00Z",
            "deadlineSeconds": 864_000, "suspend": false,
            "preconditions": {"state": "synchronized-to-prod", "executables": {"production": 25}}},
        "status": {"observedGeneration": 1, "conditions": [condition], "reason": "Retrying",
            "state": "built", "operation": operation, "lastHandledRetry": "2026-11-18T11:06:40Z",
            "resolvedVersion": {"major": 1, "version": "1.0.0"}, "executables": {"production": 25},
            "before": version, "connector": {"name": "OMDb"}, "versions": [restored]},
    })
}

/// Generates objects in any phase, valid or not.
pub(crate) fn objects(kind: &'static str) -> impl Strategy<Value = Value> {
    let absent = proptest::sample::subsequence(
        vec![
            "/status",
            "/status/operation",
            "/status/operation/inFlight",
            "/status/operation/lastError",
            "/status/operation/unknownAttempts",
            "/status/operation/nextAttemptTime",
            "/status/operation/waitStartTime",
            "/spec/preconditions",
            "/metadata/annotations",
            "/status/operation/lastError/reason",
            "/status/operation/server",
        ],
        0..=11,
    );
    (absent, proptest::bool::weighted(0.1)).prop_flat_map(move |(absent, deleted)| {
        let mut object = object(kind);
        for pointer in absent {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            if let Some(Value::Object(parent)) = object.pointer_mut(parent) {
                parent.remove(key);
            }
        }
        if deleted {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-18T11:06:42Z");
        }
        almost(object)
    })
}

/// Runs the reconciliations if the object can be read, and returns whether it can.
fn run_if_readable<O: Stored>(object: Value, reconciliations: &[life::Reconciliation]) -> bool {
    let object: Result<O, _> = serde_json::from_value(object);
    object.map(|object| run(object, reconciliations)).is_ok()
}

proptest! {
    #![proptest_config(cases(300))]

    /// Fault 38: whatever is stored and whatever comes, each reconciliation ends and breaks no rule.
    #[test]
    fn every_reconciliation_of_any_rollback_ends_and_keeps_the_rules(
        object in objects("MigrationRollback"), reconciliations in vec(reconciliation(), 1..6),
    ) {
        run_if_readable::<MigrationRollback>(object, &reconciliations);
    }

    #[test]
    fn every_reconciliation_of_any_restore_ends_and_keeps_the_rules(
        object in objects("ConnectorRestore"), reconciliations in vec(reconciliation(), 1..6),
    ) {
        run_if_readable::<ConnectorRestore>(object, &reconciliations);
    }
}

/// The properties above are useful only if most of the generated objects can be read.
#[test]
fn most_generated_objects_can_be_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let readable = (0..300).filter(|_| {
        let object = objects("MigrationRollback").new_tree(&mut runner).expect("an object").current();
        run_if_readable::<MigrationRollback>(object, &[])
    });
    let readable = readable.count();
    assert!(readable > 100, "{readable} of 300");
}
