//! Edits of the spec: observed while a request is open or failed, and without effect once it is finished.

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use serde_json::json;

use cde_harness::{Kind, Request, TestEnv, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

#[tokio::test]
async fn an_edit_of_a_waiting_request_takes_effect_at_once() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
    let requests = BOTH.map(|kind| env.request(kind, "edited", locked.clone()));
    env.apply_all(requests.each_ref().map(Request::manifest)).await;
    for request in &requests {
        env.wait_for(request, "Retrying").await;
        env.patch(request, json!({"spec": {"deadlineSeconds": 600}})).await;
        env.wait_for_generation(request, 2).await;
        env.patch(request, json!({"spec": {"notAfter": from_now(-1)}})).await;

        let failed = env.wait_for(request, "Expired").await;

        assert_eq!(failed.status()["observedGeneration"], 3);
        assert_eq!(env.attempts(request).len(), 1);
    }
}

#[tokio::test]
async fn an_edit_during_a_call_does_not_change_its_outcome() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for kind in BOTH {
        let request = Request::new(kind, "edited");
        env.sandbox.put(request.ready_connector());
        let mut held = env.sandbox.hold(Operation::Changing, request.id, HoldPoint::AfterEffect);
        env.apply(&request.manifest()).await;
        held.arrived().await.expect("an attempt");
        env.patch(&request, json!({"spec": {"notAfter": from_now(-1)}})).await;
        env.patch(&request, json!({"metadata": {"labels": {"team": "shop"}}})).await;
        held.release();

        let done = env.wait_for(&request, request.success()).await;

        assert_eq!((done.attempts(), &done.operation()["evidence"]), (1, &json!("Response")));
        assert_eq!(env.sandbox.effects(request.id), 1);
    }
}

#[tokio::test]
async fn an_edit_of_a_failed_request_is_observed_and_nothing_is_called() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let refused = Fault::on(Operation::Changing).answer(403).always();
    let requests = BOTH.map(|kind| env.request(kind, "failed", refused.clone()));
    env.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut failures = Vec::new();
    for request in &requests {
        failures.push(env.wait_for(request, "AccessDenied").await);
        env.patch(request, json!({"spec": {"notAfter": from_now(7200)}})).await;
    }

    for (request, failed) in requests.iter().zip(&failures) {
        let now = env.wait_for_generation(request, 2).await;
        assert_eq!(now.operation(), failed.operation());
        assert_eq!(now.message(), failed.message());
    }
    env.settle().await;
    for request in &requests {
        assert_eq!(env.attempts(request).len(), 1);
        assert_eq!(env.events(&request.name).await.len(), 1);
    }
}

#[tokio::test]
async fn an_edit_of_a_request_that_succeeded_is_accepted_and_has_no_effect() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = BOTH.map(|kind| Request::new(kind, "done"));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
    }
    env.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut edited = Vec::new();
    for request in &requests {
        let done = env.wait_for(request, request.success()).await;
        let change = json!({"suspend": true, "notAfter": from_now(-1), "deadlineSeconds": 1});
        env.patch(request, json!({"spec": change})).await;
        let now = env.get(request.kind, &request.name).await;
        assert_eq!(now.status(), done.status());
        edited.push(now);
    }

    env.settle().await;
    for (request, edited) in requests.iter().zip(&edited) {
        let now = env.get(request.kind, &request.name).await;
        assert_eq!(now.resource_version(), edited.resource_version(), "{} was written again", request.name);
        assert_eq!(env.attempts(request).len(), 1);
        // A tool that waits for what it has just applied need not wait.
        let short = request.kind.short();
        env.kubectl(&["wait", "--for=condition=Ready", short, &request.name, "--timeout=1s"], "").await;
    }
}
