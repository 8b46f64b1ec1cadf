//! Edits of the spec: seen while a request is open or failed, and without a meaning once it is finished.

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use serde_json::json;

use crate::world::{Kind, Request, World, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

#[tokio::test]
async fn an_edit_of_a_waiting_request_counts_at_once() {
    let (world, _operator) = World::brisk().await;
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
    let requests = BOTH.map(|kind| world.request(kind, "edited", locked.clone()));
    world.apply_all(requests.each_ref().map(Request::manifest)).await;
    for request in &requests {
        world.comes_to(request, "Retrying").await;
        world.patch(request, json!({"spec": {"activeDeadlineSeconds": 600}})).await;
        world.observes(request, 2).await;
        world.patch(request, json!({"spec": {"notAfter": from_now(-1)}})).await;

        let failed = world.comes_to(request, "Expired").await;

        assert_eq!(failed.status()["observedGeneration"], 3);
        assert_eq!(world.attempts(request).len(), 1);
    }
}

#[tokio::test]
async fn an_edit_while_a_call_is_under_way_takes_nothing_from_its_outcome() {
    let (world, _operator) = World::brisk().await;
    for kind in BOTH {
        let request = Request::new(kind, "edited");
        world.sandbox.put(request.willing());
        let mut held = world.sandbox.hold(Operation::Changing, request.id, HoldPoint::AfterEffect);
        world.apply(&request.manifest()).await;
        held.arrived().await.expect("an attempt");
        world.patch(&request, json!({"spec": {"notAfter": from_now(-1)}})).await;
        world.patch(&request, json!({"metadata": {"labels": {"team": "shop"}}})).await;
        held.release();

        let done = world.comes_to(&request, request.success()).await;

        assert_eq!((done.attempts(), &done.operation()["evidence"]), (1, &json!("Response")));
        assert_eq!(world.sandbox.effects(request.id), 1);
    }
}

#[tokio::test]
async fn an_edit_of_a_failed_request_is_observed_and_nothing_is_called() {
    let (world, _operator) = World::brisk().await;
    let refused = Fault::on(Operation::Changing).answer(422).always();
    let requests = BOTH.map(|kind| world.request(kind, "failed", refused.clone()));
    world.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut failures = Vec::new();
    for request in &requests {
        failures.push(world.comes_to(request, "Rejected").await);
        world.patch(request, json!({"spec": {"notAfter": from_now(7200)}})).await;
    }

    for (request, failed) in requests.iter().zip(&failures) {
        let now = world.observes(request, 2).await;
        assert_eq!(now.operation(), failed.operation());
        assert_eq!(now.message(), failed.message());
    }
    world.later().await;
    for request in &requests {
        assert_eq!(world.attempts(request).len(), 1);
        assert_eq!(world.events(&request.name).await.len(), 1);
    }
}

#[tokio::test]
async fn an_edit_of_a_request_that_succeeded_is_accepted_and_means_nothing() {
    let (world, _operator) = World::brisk().await;
    let requests = BOTH.map(|kind| Request::new(kind, "done"));
    for request in &requests {
        world.sandbox.put(request.willing());
    }
    world.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut edited = Vec::new();
    for request in &requests {
        let done = world.comes_to(request, request.success()).await;
        let change = json!({"suspend": true, "notAfter": from_now(-1), "activeDeadlineSeconds": 1});
        world.patch(request, json!({"spec": change})).await;
        let now = world.look(request.kind, &request.name).await;
        assert_eq!(now.status(), done.status());
        edited.push(now);
    }

    world.later().await;
    for (request, edited) in requests.iter().zip(&edited) {
        let now = world.look(request.kind, &request.name).await;
        assert_eq!(now.resource_version(), edited.resource_version(), "{} was written again", request.name);
        assert_eq!(world.attempts(request).len(), 1);
        // A tool that waits for what it has just applied need not wait.
        let short = request.kind.short();
        world.kubectl(&["wait", "--for=condition=Ready", short, &request.name, "--timeout=1s"], "").await;
    }
}
