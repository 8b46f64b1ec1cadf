//! Commits that are merged while an earlier request waits for the CDE API.

use std::time::Duration;

use cde_harness::{Kind, Request};
use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use super::{Scene, automated, config_map, sample};
use crate::controller::until_applied;

async fn waiting(scene: &Scene, waves: bool) -> Request {
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, "waiting", down);
    scene.write("connectors", &request, &request.manifest());
    let mut after: serde_json::Value = serde_json::from_str(&config_map("after")).unwrap();
    if waves {
        after["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": "1"});
    }
    scene.repository.write("connectors/after.yaml", &after.to_string());
    scene.repository.commit("Roll back").await;
    scene.application("connectors", automated()).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    scene.env.wait_for(&request, "Retrying").await;
    request
}

#[tokio::test]
async fn without_waves_an_urgent_request_is_applied_while_another_one_waits() {
    let scene = Scene::new().await;
    waiting(&scene, false).await;
    scene.until_health("connectors", "Progressing").await;
    let urgent = scene.rollback("connectors", "urgent", |manifest| manifest);
    scene.push("Roll back another", &["connectors"]).await;
    eprintln!("applied after {:?}", until_applied(scene.argocd, &scene.env, &urgent).await);
    scene.env.wait_for(&urgent, "RolledBack").await;
}

#[tokio::test]
async fn with_waves_an_urgent_request_is_applied_once_the_running_operation_is_terminated() {
    let scene = Scene::new().await;
    waiting(&scene, true).await;
    scene.until("connectors", "waiting", |it| it["status"]["operationState"]["phase"] == "Running").await;
    let urgent = scene.rollback("connectors", "urgent", |manifest| manifest);
    let revision = scene.push("Roll back another", &["connectors"]).await;
    // The next commit is known, and the operation of the last one goes on.
    let application = scene.get("connectors").await;
    assert_eq!(application["status"]["operationState"]["phase"], "Running");
    assert_ne!(application["status"]["operationState"]["operation"]["sync"]["revision"], json!(revision));
    assert!(scene.env.objects(urgent.kind).get_opt(&urgent.name).await.unwrap().is_none());

    // What `argocd app terminate-op` does.
    let terminate = json!({"status": {"operationState": {"phase": "Terminating"}}});
    scene.change("connectors", terminate).await;
    eprintln!("applied after {:?}", until_applied(scene.argocd, &scene.env, &urgent).await);
    scene.env.wait_for(&urgent, "RolledBack").await;
}

/// Commits a manifest that the API server refuses, and its correction once Argo CD has begun to repeat the sync.
async fn corrected(policy: serde_json::Value) -> (Scene, Request) {
    let scene = Scene::new().await;
    let request = scene.rollback("connectors", "typo", |manifest| manifest.spec("version", "v1"));
    scene.repository.commit("Roll back").await;
    scene.application("connectors", policy).await;
    until_retried(&scene, 2).await;
    scene.write("connectors", &request, &request.manifest());
    scene.push("Correct the version", &["connectors"]).await;
    (scene, request)
}

async fn until_retried(scene: &Scene, times: u64) {
    let retried =
        |it: &serde_json::Value| it["status"]["operationState"]["retryCount"].as_u64() >= Some(times);
    scene.until("connectors", "retried", retried).await;
}

#[tokio::test]
async fn by_default_argo_cd_repeats_a_failed_commit_after_its_correction_was_merged() {
    let (scene, request) = corrected(automated()).await;
    until_retried(&scene, 3).await;
    assert!(scene.env.objects(request.kind).get_opt(&request.name).await.unwrap().is_none());
}

#[tokio::test]
async fn with_the_sample_a_correction_is_applied_at_the_next_retry() {
    let (scene, request) = corrected(sample()).await;
    let took = until_applied(scene.argocd, &scene.env, &request).await;
    eprintln!("applied after {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    scene.env.wait_for(&request, "RolledBack").await;
}
