//! How a request is stopped, from Git and by hand.

use cde_harness::{Kind, Request};
use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use super::{Scene, message};
use crate::controller::{eventually, until_applied};

/// A request that the CDE API keeps refusing for now, applied by a Kustomization.
async fn failing() -> (Scene, Request) {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, "stopped", down);
    scene.write("connectors", &request, &request.manifest());
    scene.push("Roll back").await;
    scene.kustomization("connectors", json!({})).await;
    until_applied(scene.flux, &scene.env, &request).await;
    scene.env.wait_for(&request, "Retrying").await;
    (scene, request)
}

const SUSPEND: &str = r#"{"spec": {"suspend": true}}"#;

#[tokio::test]
async fn flux_removes_what_kubectl_suspends_and_the_calls_go_on() {
    let (scene, request) = failing().await;
    scene.env.kubectl(&["patch", "mrb", &request.name, "--type=merge", "-p", SUSPEND], "").await;
    scene.env.wait_for(&request, "Suspended").await;
    let before = scene.env.attempts(&request).len();
    scene.reconcile("connectors").await;
    let called = async || (scene.env.attempts(&request).len() > before).then_some(());
    eventually("another call", called).await;
}

#[tokio::test]
async fn flux_keeps_what_another_field_manager_suspends() {
    let (scene, request) = failing().await;
    let oncall = ["patch", "mrb", &request.name, "--field-manager=oncall", "--type=merge", "-p", SUSPEND];
    scene.env.kubectl(&oncall, "").await;
    scene.env.wait_for(&request, "Suspended").await;
    let before = scene.env.attempts(&request).len();
    scene.reconcile("connectors").await;
    scene.env.settle().await;
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "Suspended");
    assert_eq!(scene.env.attempts(&request).len(), before);
}

#[tokio::test]
async fn a_suspended_request_times_out_a_wait_and_runs_once_git_resumes_it() {
    let scene = Scene::new().await;
    let request = scene.env.request(Kind::Rollback, "prepared", Fault::default());
    scene.write("connectors", &request, &request.manifest().spec("suspend", true));
    scene.push("Prepare").await;
    scene.kustomization("connectors", json!({"wait": true, "timeout": "30s", "retryInterval": "5s"})).await;
    let failed =
        scene.until("connectors", "timed out", |it| message(it, "Ready").contains("timeout waiting")).await;
    eprintln!("{}", message(&failed, "Ready"));
    assert_eq!(scene.env.attempts(&request).len(), 0);
    scene.write("connectors", &request, &request.manifest().spec("suspend", false));
    let revision = scene.push("Resume").await;
    scene.until_ready("connectors", &revision).await;
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn what_git_sets_wins_over_any_field_manager() {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, "set", down);
    scene.write("connectors", &request, &request.manifest().spec("suspend", false));
    let revision = scene.push("Roll back").await;
    scene.kustomization("connectors", json!({})).await;
    scene.until_ready("connectors", &revision).await;
    let oncall = ["patch", "mrb", &request.name, "--field-manager=oncall", "--type=merge", "-p", SUSPEND];
    scene.env.kubectl(&oncall, "").await;
    scene.env.wait_for(&request, "Suspended").await;
    scene.reconcile("connectors").await;
    scene.env.wait_for(&request, "Retrying").await;
}
