//! What becomes of a request from its commit to its end.

use std::time::Instant;

use cde_harness::{Kind, Request, from_now};
use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use super::{Scene, automated};
use crate::controller::until_applied;
use crate::policies::Policy;

#[tokio::test]
async fn a_merged_request_is_performed_once_and_its_application_becomes_healthy() {
    let scene = Scene::new().await;
    let request = scene.rollback("connectors", "merged", |manifest| manifest);
    scene.repository.commit("Roll back").await;
    scene.application("connectors", automated()).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    scene.env.wait_for(&request, "RolledBack").await;
    scene.until_health("connectors", "Healthy").await;
    scene.sync("connectors").await;
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_failed_request_degrades_its_application_until_a_retry_succeeds() {
    let scene = Scene::new().await;
    let refused = Fault::on(Operation::Changing).answer(403).always();
    let request = scene.env.request(Kind::Restore, "refused", refused);
    scene.write("connectors", &request, &request.manifest());
    scene.repository.commit("Restore").await;
    scene.application("connectors", automated()).await;
    scene.until_health("connectors", "Degraded").await;
    scene.env.sandbox.clear_faults();
    let retry = format!("cde.productsup.com/retry={}", from_now(0));
    scene.env.kubectl(&["annotate", "crst", &request.name, &retry], "").await;
    scene.env.wait_for(&request, "Restored").await;
    let begun = Instant::now();
    let application = scene.until_health("connectors", "Healthy").await;
    eprintln!("healthy {:?} after the request", begun.elapsed());
    assert_eq!(application["status"]["sync"]["status"], "Synced");
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

/// A request that the CDE API keeps refusing for now, under an Application that heals itself.
pub(super) async fn failing(
    what: &str,
    change: impl Fn(cde_harness::Manifest) -> cde_harness::Manifest,
) -> (Scene, Request) {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, what, down);
    scene.write("connectors", &request, &change(request.manifest()));
    scene.repository.commit("Roll back").await;
    scene.application("connectors", automated()).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    scene.env.wait_for(&request, "Retrying").await;
    (scene, request)
}

const SUSPEND: &str = r#"{"spec": {"suspend": true}}"#;

#[tokio::test]
async fn what_kubectl_suspends_stays_suspended_where_git_leaves_the_field_out() {
    let (scene, request) = failing("stopped", |manifest| manifest).await;
    scene.env.kubectl(&["patch", "mrb", &request.name, "--type=merge", "-p", SUSPEND], "").await;
    scene.env.wait_for(&request, "Suspended").await;
    scene.until_health("connectors", "Suspended").await;
    let before = scene.env.attempts(&request).len();
    scene.sync("connectors").await;
    scene.env.settle().await;
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "Suspended");
    assert_eq!(scene.env.attempts(&request).len(), before);
}

#[tokio::test]
async fn self_heal_reverts_what_kubectl_suspends_where_git_sets_the_field() {
    let (scene, request) = failing("set", |manifest| manifest.spec("suspend", false)).await;
    let uid = scene.env.uid(&request).await;
    let suspend = ["patch", "mrb", &request.name, "--type=merge", "-p", SUSPEND];
    scene.env.kubectl(&suspend, "").await;
    let begun = Instant::now();
    let resumed = |it: &cde_harness::Object| it.0["spec"]["suspend"] == json!(false);
    scene.env.wait_until(request.kind, &request.name, "resumed", resumed).await;
    eprintln!("resumed after {:?}", begun.elapsed());
    assert_eq!(scene.env.uid(&request).await, uid);
}

#[tokio::test]
async fn a_request_as_a_hook_is_called_at_every_sync() {
    let scene = Scene::new().await;
    let request =
        scene.rollback("connectors", "hook", |it| it.annotation("argocd.argoproj.io/hook", "PreSync"));
    scene.repository.write("connectors/other.yaml", &super::config_map("other"));
    scene.repository.commit("Roll back").await;
    scene.application("connectors", json!({})).await;
    let mut uids = Vec::new();
    for _ in 0..3 {
        let application = scene.sync("connectors").await;
        eprintln!("{}", application["status"]["operationState"]["message"]);
        uids.push(scene.env.uid(&request).await);
    }
    uids.dedup();
    assert_eq!(uids.len(), 3);
    assert_eq!(scene.env.attempts(&request).len(), 3);
}

#[tokio::test]
async fn the_policy_against_hooks_fails_the_sync_before_any_call() {
    let scene = Scene::new().await;
    Policy::apply(&scene.env, "no-hooks").await;
    let hook = scene.rollback("connectors", "hook", |it| it.annotation("argocd.argoproj.io/hook", "PreSync"));
    // The API server enforces a new policy a moment later.
    crate::controller::eventually("the policy is enforced", async || {
        let manifest = hook.manifest().annotation("argocd.argoproj.io/hook", "PreSync").yaml();
        scene.env.try_kubectl(&["create", "--dry-run=server", "-f", "-"], &manifest).await.err()
    })
    .await;
    scene.repository.commit("Roll back").await;
    scene.application("connectors", json!({})).await;
    let application = scene.sync("connectors").await;
    let state = &application["status"]["operationState"];
    assert_eq!(state["phase"], "Failed", "{state:#}");
    assert!(state.to_string().contains("hook"), "{state:#}");
    assert_eq!(scene.env.attempts(&hook).len(), 0);
}

#[tokio::test]
async fn the_next_wave_follows_a_success_and_not_a_failure() {
    let scene = Scene::new().await;
    let fault = Fault::on(Operation::Changing).answer(403).always();
    let first = scene.env.request(Kind::Rollback, "first", fault);
    scene.write("connectors", &first, &first.manifest());
    let second =
        scene.rollback("connectors", "second", |it| it.annotation("argocd.argoproj.io/sync-wave", "1"));
    scene.repository.commit("Roll back one after the other").await;
    scene.application("connectors", json!({})).await;
    let application = scene.sync("connectors").await;
    let state = &application["status"]["operationState"];
    assert_eq!(state["phase"], "Failed", "{state:#}");
    eprintln!("{}", state["syncResult"]["resources"]);
    assert!(scene.env.objects(second.kind).get_opt(&second.name).await.unwrap().is_none());

    scene.env.sandbox.clear_faults();
    let retry = format!("cde.productsup.com/retry={}", from_now(0));
    scene.env.kubectl(&["annotate", "mrb", &first.name, &retry], "").await;
    scene.env.wait_for(&first, "RolledBack").await;
    scene.until_health("connectors", "Healthy").await;
    scene.sync("connectors").await;
    scene.env.wait_for(&second, "RolledBack").await;
    assert_eq!(scene.env.sandbox.effects(first.id), 1);
}

#[tokio::test]
async fn a_suspended_request_holds_back_the_next_wave_until_it_has_run() {
    let scene = Scene::new().await;
    let first = scene.rollback("connectors", "first", |it| it.spec("suspend", true));
    let second =
        scene.rollback("connectors", "second", |it| it.annotation("argocd.argoproj.io/sync-wave", "1"));
    scene.repository.commit("Prepare").await;
    scene.application("connectors", json!({})).await;
    scene.start_sync("connectors", json!({})).await;
    until_applied(scene.argocd, &scene.env, &first).await;
    let application = scene.until_health("connectors", "Suspended").await;
    assert_eq!(application["status"]["operationState"]["phase"], "Running");
    assert!(scene.env.objects(second.kind).get_opt(&second.name).await.unwrap().is_none());
    scene.env.patch(&first, json!({"spec": {"suspend": false}})).await;
    until_applied(scene.argocd, &scene.env, &second).await;
    assert_eq!(scene.env.get(first.kind, &first.name).await.reason(), "RolledBack");
}
