//! Sets every field of the spec to invalid, smallest and largest values and back, on requests in each phase.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::{Value, json};

use crate::faults::phase::{Phase, PhaseEnv, RequestInPhase, came_to};
use crate::faults::request::{Request, a_restore, a_rollback};
use cde_harness::{Flags, Kind, Object, TestEnv};

/// Returns the changes that the API server rejects for either kind, and the words of its message.
fn invalid(kind: Kind) -> Vec<(Value, &'static str)> {
    let id = "connectorID is immutable: to change the target, create another object";
    let uuid = "connectorID must be the connector's UUID in lower case";
    let time = "notAfter must be an RFC 3339 time from 1970 to 9998";
    let deadline = "spec.deadlineSeconds";
    let mut all = vec![
        (json!({"connectorID": "497f6eca-6276-4993-bfeb-53cbbbba6f08"}), id),
        (json!({"connectorID": ""}), uuid),
        (json!({"connectorID": "../admin"}), uuid),
        (json!({"connectorID": "x".repeat(65)}), "spec.connectorID: Too long"),
        (json!({"connectorID": null}), "spec.connectorID: Required value"),
        (json!({"notAfter": ""}), time),
        (json!({"notAfter": "1969-12-31T23:59:59Z"}), time),
        (json!({"notAfter": "9999-01-01T00:00:00Z"}), time),
        (json!({"notAfter": 1}), "spec.notAfter"),
        (json!({"deadlineSeconds": 0}), deadline),
        (json!({"deadlineSeconds": 315_360_001}), deadline),
        (json!({"deadlineSeconds": 1.5}), deadline),
        (json!({"suspend": "true"}), "spec.suspend"),
    ];
    if kind == Kind::Rollback {
        let either = "preconditions must set at least one of state, executables";
        all.extend([
            (
                json!({"version": "latest"}),
                "version is immutable: to change the target, create another object",
            ),
            (json!({"version": "../x"}), "version must be main, latest or a major number as a string"),
            (json!({"version": null}), "spec.version: Required value"),
            (json!({"notAfter": null}), "spec.notAfter: Required value"),
            (json!({"preconditions": {}}), either),
            (json!({"preconditions": {"state": ""}}), "spec.preconditions.state"),
            (json!({"preconditions": {"state": "x".repeat(257)}}), "spec.preconditions.state: Too long"),
            (json!({"preconditions": {"executables": {}}}), "executables must set at least one of legacy"),
            (json!({"preconditions": {"executables": {"legacy": -1}}}), "spec.preconditions.executables"),
            (
                json!({"preconditions": {"executables": {"production": 9_223_372_036_854_775_808_u64}}}),
                "spec.preconditions.executables",
            ),
        ]);
    }
    all
}

/// Returns the smallest and the largest value of each field that may be changed.
fn extremes(kind: Kind) -> Vec<Value> {
    let mut all = vec![
        json!({"notAfter": "1970-01-01T00:00:00Z"}),
        json!({"notAfter": "9998-12-31T23:59:59.999999999-23:59"}),
        json!({"deadlineSeconds": 1}),
        json!({"deadlineSeconds": 315_360_000}),
        json!({"suspend": true}),
        json!({"suspend": false}),
    ];
    if kind == Kind::Rollback {
        let executables = |id: i64| json!({"legacy": id, "production": id, "development": id});
        all.extend([
            json!({"preconditions": {"state": "x", "executables": executables(0)}}),
            json!({"preconditions": {"state": "ü".repeat(256), "executables": executables((1 << 53) - 1)}}),
        ]);
    }
    all
}

/// Returns whether the change ends a request that is open and is reconciled meanwhile.
fn is_limit(change: &Value) -> bool {
    change["deadlineSeconds"] == 1 || change["notAfter"].as_str().is_some_and(|time| time.starts_with("1970"))
}

/// Sets the fields of `change`, and sets them back.
async fn change_and_revert(env: &TestEnv, request: &Request, change: &Value) {
    let before = request.get(env).await.0["spec"].clone();
    let changed = request.merge(env, &json!({"spec": change})).await.unwrap();
    let mut back = json!({});
    for field in change.as_object().unwrap().keys() {
        assert_eq!(changed.0["spec"][field], change[field], "the stored value is the given one");
        back[field] = before[field].clone();
    }
    request.merge(env, &json!({"spec": back})).await.unwrap();
}

/// Fault 38.
#[tokio::test]
async fn reverted_edits_change_nothing_in_any_phase_and_invalid_edits_are_rejected() {
    let phases = PhaseEnv::new().await;
    let env = &phases.env;
    let edit = async |it: &RequestInPhase| {
        let RequestInPhase { phase, request, .. } = it;
        for (change, words) in invalid(request.kind) {
            let refusal = request.merge(env, &json!({"spec": change})).await.expect_err("it is rejected");
            assert!(refusal.contains(words), "{words:?} is not in the refusal of {change}: {refusal}");
        }
        for change in extremes(request.kind) {
            if *phase != Phase::Waiting || !is_limit(&change) {
                change_and_revert(env, request, &change).await;
            }
        }
    };
    let (all, _operator) = phases.acted(edit).await;

    let [rollback, restore] = phases.undisturbed().await;
    for RequestInPhase { phase, request, .. } in &all {
        if *phase == Phase::Waiting {
            request.ask_again(env, 0).await;
        }
        let again = usize::from(matches!(phase, Phase::Waiting | Phase::Verifying));
        if *phase == Phase::Failed {
            let newest = request.get(env).await.metadata()["generation"].clone();
            let observed = |object: &Object| object.status()["observedGeneration"] == newest;
            let end = env.wait_until(request.kind, &request.name, "observed", observed).await;
            assert_eq!(end.reason(), "AccessDenied", "{end:#?}");
        } else {
            let end = request.succeeds(env).await;
            let twin = if request.kind == Kind::Rollback { &rollback } else { &restore };
            assert_eq!(came_to(&end), came_to(twin), "{phase:?}");
            assert_eq!(env.sandbox.effects(request.id), 1, "{phase:?} of {}", request.plural());
        }
        let calls = request.calls(&env.sandbox).len();
        assert_eq!(calls, 1 + again, "{phase:?} of {}", request.plural());
    }
}

/// Fault 38: each limit ends a waiting request. After the limit is set back and a retry is requested, the request ends
/// as usual.
#[tokio::test]
async fn a_request_that_an_edit_ended_can_be_retried_after_the_edit_is_reverted() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let sandbox = &env.sandbox;
    let cases = [
        ("after", json!({"notAfter": "1970-01-01T00:00:00Z"}), "Expired"),
        ("deadline", json!({"deadlineSeconds": 1}), "DeadlineExceeded"),
        ("state", json!({"preconditions": {"state": "x"}}), "PreconditionFailed"),
        ("executable", json!({"preconditions": {"executables": {"legacy": 0}}}), "PreconditionFailed"),
    ];
    let mut all = Vec::new();
    for (name, change, reason) in cases {
        all.push((a_rollback(sandbox, name), change.clone(), reason));
        if reason != "PreconditionFailed" {
            all.push((a_restore(sandbox, name), change, reason));
        }
    }
    for (request, ..) in &all {
        let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
        sandbox.inject(locked.connector(request.id));
        request.create(&env).await;
    }
    for (request, change, reason) in &all {
        request.wait_for_reason(&env, "Retrying").await;
        let before = request.get(&env).await.0["spec"].clone();
        request.merge(&env, &json!({"spec": change})).await.unwrap();
        if *reason == "PreconditionFailed" {
            request.ask_again(&env, 0).await;
        }
        let end = request.wait_for_reason(&env, reason).await;
        assert_eq!(end.attempts(), 1, "{end:#?}");
        let mut back = json!({"preconditions": null, "deadlineSeconds": null});
        back["notAfter"] = before["notAfter"].clone();
        request.merge(&env, &json!({"spec": back})).await.unwrap();
    }
    env.settle().await;
    for (request, _, reason) in &all {
        assert_eq!(request.get(&env).await.reason(), *reason, "no retry was requested");
        request.ask_again(&env, 60).await;
    }

    for (request, ..) in &all {
        let end = request.succeeds(&env).await;
        assert_eq!((end.attempts(), sandbox.effects(request.id)), (1, 1), "{end:#?}");
        assert_eq!(request.calls(sandbox).len(), 2);
    }
}
