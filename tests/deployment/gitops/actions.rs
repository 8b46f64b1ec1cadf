//! Argo CD's actions on a request, by the scripts that `deploy/argocd` installs.

use cde_sandbox::cde::{Fault, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::gitops::kept::{RETRIED, text, yaml};
use crate::gitops::lua::run;
use crate::gitops::scene::{BOTH, cases};
use crate::tools::with_fast_retries;
use cde_harness::{Kind, Object, Request, TestEnv};

const ASKED: &str = "/metadata/annotations/cde.productsup.com~1retry";

/// What the action makes of the object.
fn act(kind: Kind, action: &str, object: &Value) -> Value {
    run(&text(kind, &format!("actions/{action}/action.lua")), object)
}

/// Whether Argo CD offers the action.
fn offered(kind: Kind, action: &str, object: &Value) -> bool {
    run(&text(kind, "actions/discovery.lua"), object)[action]["disabled"] == json!(false)
}

#[test]
fn the_table_for_argo_cds_own_test_holds() {
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
async fn a_retry_is_offered_for_failures_and_waits_and_for_nothing_else() {
    for case in cases().await {
        let waits = case.object["status"]["operation"]["nextAttemptTime"].is_string();
        let failed = matches!(case.object["status"]["outcome"].as_str(), Some("Failed" | "Unknown"));
        assert_eq!(offered(case.kind, "retry", &case.object), waits || failed, "{case:#?}");
    }
}

#[tokio::test]
async fn a_record_has_no_action() {
    let record = |outcome: &Value| matches!(outcome.as_str(), Some("Succeeded" | "Skipped"));
    for case in cases().await.iter().filter(|case| record(&case.object["status"]["outcome"])) {
        for action in ["retry", "suspend", "resume"] {
            assert!(!offered(case.kind, action, &case.object), "{action} of {case:#?}");
        }
    }
}

#[tokio::test]
async fn no_action_changes_more_than_it_says() {
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

/// Does to the stored object what Argo CD does with the answer of an action: a merge patch of what differs.
async fn click(env: &TestEnv, request: &Request, action: &str) {
    let object = env.get(request.kind, &request.name).await.0;
    assert!(offered(request.kind, action, &object), "{action} of {object:#}");
    let made = act(request.kind, action, &object);
    let annotations = made["metadata"]["annotations"].clone();
    env.patch(request, json!({"metadata": {"annotations": annotations}, "spec": made["spec"]})).await;
}

#[tokio::test]
async fn the_operator_does_what_the_actions_ask_for() {
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
        assert_eq!(done.attempts(), 1, "it is another request");

        click(&env, &waiting, "suspend").await;
        env.wait_for(&waiting, "Suspended").await;
        click(&env, &waiting, "resume").await;
        env.wait_for(&waiting, "Retrying").await;
        click(&env, &waiting, "retry").await;
        assert_eq!(env.wait_for(&waiting, waiting.success()).await.attempts(), 2);
    }
}
