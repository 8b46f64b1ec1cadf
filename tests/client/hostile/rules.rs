//! Objects of any shape that can be read at all, and answers of any shape: the rules hold.

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

use crate::hostile::draw::{CONNECTOR, almost};
use crate::hostile::passes::pass;
use crate::hostile::story::{Stored, live};
use crate::hostile::{cases, story};

/// An object with everything in it that the operator ever writes.
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

/// Objects as a schema would let them through or not, in any phase.
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

/// Lives it, if it can be read; whether it can.
fn lived<O: Stored>(object: Value, passes: &[story::Pass]) -> bool {
    let object: Result<O, _> = serde_json::from_value(object);
    object.map(|object| live(object, passes)).is_ok()
}

proptest! {
    #![proptest_config(cases(300))]

    /// Fault 38: whatever is stored and whatever comes, each pass ends, and nothing is done that must not be.
    #[test]
    fn a_rollback_of_any_shape_comes_to_rest_in_each_pass_and_keeps_the_rules(
        object in objects("MigrationRollback"), passes in vec(pass(), 1..6),
    ) {
        lived::<MigrationRollback>(object, &passes);
    }

    #[test]
    fn a_restore_of_any_shape_comes_to_rest_in_each_pass_and_keeps_the_rules(
        object in objects("ConnectorRestore"), passes in vec(pass(), 1..6),
    ) {
        lived::<ConnectorRestore>(object, &passes);
    }
}

/// The properties above are worth something only where most of what is drawn can be read.
#[test]
fn most_objects_that_are_drawn_can_be_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let readable = (0..300).filter(|_| {
        let object = objects("MigrationRollback").new_tree(&mut runner).expect("an object").current();
        lived::<MigrationRollback>(object, &[])
    });
    let readable = readable.count();
    assert!(readable > 100, "{readable} of 300");
}
