//! What becomes of a request from its commit to its end.

use std::time::Instant;

use cde_harness::{Kind, Request, from_now};
use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use super::{Scene, message};
use crate::controller::until_applied;

#[tokio::test]
async fn a_merged_request_is_performed_once_and_its_kustomization_becomes_ready() {
    let scene = Scene::new().await;
    let request = scene.env.request(Kind::Rollback, "merged", Fault::on(Operation::Changing).answer(503));
    scene.write("connectors", &request, &request.manifest());
    let revision = scene.push("Roll back").await;
    scene.kustomization("connectors", json!({"wait": true, "timeout": "3m"})).await;
    scene.until_ready("connectors", &revision).await;
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "RolledBack");
    scene.reconcile("connectors").await;
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn a_failed_request_fails_its_kustomization_which_names_it_without_the_cause() {
    let scene = Scene::new().await;
    let request = refused(&scene).await;
    scene.kustomization("connectors", json!({"wait": true, "timeout": "30m"})).await;
    let failed = scene.until("connectors", "failed", |it| message(it, "Ready").contains("Failed")).await;
    let message = message(&failed, "Ready");
    eprintln!("{message}");
    assert!(message.contains(&request.name), "{message}");
    assert!(!message.contains("denied"), "Flux shows the operator's message, tell the docs: {message}");
}

#[tokio::test]
async fn after_a_retry_the_kustomization_becomes_ready_within_its_retry_interval() {
    let scene = Scene::new().await;
    let request = refused(&scene).await;
    let spec = json!({"wait": true, "timeout": "30m", "retryInterval": "5s"});
    scene.kustomization("connectors", spec).await;
    scene.until("connectors", "failed", |it| message(it, "Ready").contains("Failed")).await;
    scene.env.sandbox.clear_faults();
    let retry = format!("cde.productsup.com/retry={}", from_now(0));
    scene.env.kubectl(&["annotate", "crst", &request.name, &retry], "").await;
    scene.env.wait_for(&request, "Restored").await;
    let begun = Instant::now();
    scene.until("connectors", "ready", |it| super::condition(it, "Ready")["status"] == "True").await;
    eprintln!("ready {:?} after the request", begun.elapsed());
    // Flux has removed the annotation, which repeats nothing.
    scene.reconcile("connectors").await;
    scene.env.settle().await;
    let object = scene.env.get(request.kind, &request.name).await;
    assert!(object.0["metadata"]["annotations"]["cde.productsup.com/retry"].is_null(), "{object:#?}");
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

/// A restore that the CDE API refuses until the faults are cleared.
async fn refused(scene: &Scene) -> Request {
    let refused = Fault::on(Operation::Changing).answer(403).always();
    let request = scene.env.request(Kind::Restore, "refused", refused);
    scene.write("connectors", &request, &request.manifest());
    scene.push("Restore").await;
    request
}

#[tokio::test]
async fn hook_annotations_of_other_tools_do_not_repeat_a_request() {
    let scene = Scene::new().await;
    let request = scene.env.request(Kind::Rollback, "hook", Fault::default());
    let hook = request.manifest().annotation("argocd.argoproj.io/hook", "PreSync");
    scene.write("connectors", &request, &hook);
    let revision = scene.push("Roll back").await;
    scene.kustomization("connectors", json!({"wait": true})).await;
    scene.until_ready("connectors", &revision).await;
    let before = scene.env.uid(&request).await;
    scene.reconcile("connectors").await;
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_kustomization_that_depends_on_requests_is_applied_after_they_have_succeeded() {
    let scene = Scene::new().await;
    let waits = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, "first", waits);
    scene.write("connectors", &request, &request.manifest());
    let second = scene.env.request(Kind::Rollback, "second", Fault::default());
    scene.write("after", &second, &second.manifest());
    scene.push("Roll back one after the other").await;
    scene.kustomization("connectors", json!({"wait": true, "timeout": "30m"})).await;
    let after = json!({"dependsOn": [{"name": "connectors"}], "retryInterval": "2s"});
    scene.kustomization("after", after).await;
    until_applied(scene.flux, &scene.env, &request).await;
    scene.env.wait_for(&request, "Retrying").await;
    scene.until("after", "held back", |it| message(it, "Ready").contains("connectors")).await;
    assert!(scene.env.objects(second.kind).get_opt(&second.name).await.unwrap().is_none());
    scene.env.sandbox.clear_faults();
    until_applied(scene.flux, &scene.env, &second).await;
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "RolledBack");
}
