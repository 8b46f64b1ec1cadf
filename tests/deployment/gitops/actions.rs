//! Argo CD's actions on a request, from the scripts that `deploy/argocd` installs.

use cde_sandbox::cde::{Fault, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::gitops::cases::{BOTH, cases};
use crate::gitops::kept::{RETRIED, text, yaml};
use crate::gitops::lua::run;
use crate::tools::with_fast_retries;
use cde_harness::{Kind, Object, Request, TestEnv};

const ASKED: &str = "/metadata/annotations/cde.productsup.com~1retry";

/// Returns the object as the action changes it.
fn act(kind: Kind, action: &str, object: &Value) -> Value {
    run(&text(kind, &format!("actions/{action}/action.lua")), object)
}

/// Returns whether Argo CD offers the action.
fn offered(kind: Kind, action: &str, object: &Value) -> bool {
    run(&text(kind, "actions/discovery.lua"), object)[action]["disabled"] == json!(false)
}

#[test]
fn the_table_for_the_tests_of_argo_cd_is_correct() {
    for kind in BOTH {
        let table = yaml(kind, "actions/action_test.yaml");
        let object = |path: &Value| yaml(kind, &format!("actions/{}", path.as_str().unwrap()));
        for test in table["discoveryTests"].as_array().unwrap() {
            let told = run(&text(kind, "actions/discovery.lua"), &object(&test["inputPath"]));
            let wanted = test["result"].as_array().unwrap();
            assert_eq!(told.as_object().unwrap().len(), wanted.len(), "{test}");
            for action in wanted {
                assert_eq!(told[action["name"].as_str().unwrap()]["disabled"], action["disabled"], "{test}");
            }
        }
        for test in table["actionTests"].as_array().unwrap() {
            let mut made = act(kind, test["action"].as_str().unwrap(), &object(&test["inputPath"]));
            if let Some(asked) = made.pointer_mut(ASKED) {
                assert_is_now(asked);
                *asked = json!(RETRIED);
            }
            assert_eq!(made, object(&test["expectedOutputPath"]), "{test}");
        }
    }
}

fn assert_is_now(asked: &Value) {
    let text = asked.as_str().unwrap();
    let asked: Timestamp = text.parse().expect("a time of RFC 3339");
    assert_eq!(asked.to_string(), text);
    let ago = Timestamp::now().duration_since(asked);
    assert!(ago.abs() < SignedDuration::from_mins(1), "{asked} is not now");
}

#[tokio::test]
async fn a_retry_is_offered_only_for_failures_and_waits() {
    for case in cases().await {
        let waits = case.object["status"]["operation"]["nextAttemptTime"].is_string();
        let failed = matches!(case.object["status"]["outcome"].as_str(), Some("Failed" | "Unknown"));
        assert_eq!(offered(case.kind, "retry", &case.object), waits || failed, "{case:#?}");
    }
}

#[tokio::test]
async fn a_finished_request_has_no_action() {
    let record = |outcome: &Value| matches!(outcome.as_str(), Some("Succeeded" | "Skipped"));
    for case in cases().await.iter().filter(|case| record(&case.object["status"]["outcome"])) {
        for action in ["retry", "suspend", "resume"] {
            assert!(!offered(case.kind, action, &case.object), "{action} of {case:#?}");
        }
    }
}

#[tokio::test]
async fn each_action_changes_only_its_own_field() {
    for case in cases().await {
        let mut retried = act(case.kind, "retry", &case.object);
        retried["metadata"]["annotations"] = case.object["metadata"]["annotations"].clone();
        assert_eq!(retried, case.object, "retry");
        for (action, suspended) in [("suspend", true), ("resume", false)] {
            let mut wanted = case.object.clone();
            wanted["spec"]["suspend"] = json!(suspended);
            assert_eq!(act(case.kind, action, &case.object), wanted, "{action}");
        }
    }
}

/// Changes the stored object as Argo CD does with the result of an action: by a merge patch of the differences.
async fn click(env: &TestEnv, request: &Request, action: &str) {
    let object = env.get(request.kind, &request.name).await.0;
    assert!(offered(request.kind, action, &object), "{action} of {object:#}");
    let made = act(request.kind, action, &object);
    let annotations = made["metadata"]["annotations"].clone();
    env.patch(request, json!({"metadata": {"annotations": annotations}, "spec": made["spec"]})).await;
}

#[tokio::test]
async fn the_operator_carries_out_the_actions() {
    let (env, _operator) = with_fast_retries().await;
    for kind in BOTH {
        let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
        let waiting = env.request(kind, "waiting", locked);
        let failed = env.request(kind, "failed", Fault::on(Operation::Changing).answer(403));
        env.apply_all([&waiting, &failed].map(Request::manifest)).await;
        env.wait_for(&failed, "AccessDenied").await;
        env.wait_for(&waiting, "Retrying").await;

        click(&env, &failed, "retry").await;
        let done: Object = env.wait_for(&failed, failed.success()).await;
        assert_eq!(done.attempts(), 1, "it is a new request");

        click(&env, &waiting, "suspend").await;
        env.wait_for(&waiting, "Suspended").await;
        click(&env, &waiting, "resume").await;
        env.wait_for(&waiting, "Retrying").await;
        click(&env, &waiting, "retry").await;
        assert_eq!(env.wait_for(&waiting, waiting.success()).await.attempts(), 2);
    }
}
