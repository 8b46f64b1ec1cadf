//! What deletes an object or creates it again.

use std::time::Instant;

use cde_harness::{Flags, Manifest, Request};
use serde_json::{Value, json};

use super::{Scene, automated, config_map, sample};
use crate::controller::{eventually, until_applied, until_gone};

const KEEP: (&str, &str) = ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false");

fn keep(manifest: Manifest) -> Manifest {
    manifest.annotation(KEEP.0, KEEP.1)
}

/// A request that has succeeded, applied by the Application of `connectors`.
async fn succeeded(scene: &Scene, change: impl Fn(Manifest) -> Manifest) -> Request {
    let request = scene.rollback("connectors", "done", change);
    // A directory without a file is not in Git.
    scene.repository.write("connectors/kept.yaml", &config_map("kept"));
    scene.repository.write("moved/moved.yaml", &config_map("moved"));
    scene.repository.commit("Roll back").await;
    scene.application("connectors", automated()).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    scene.env.wait_for(&request, "RolledBack").await;
    request
}

#[tokio::test]
async fn a_file_removed_and_put_back_is_called_again_where_argo_cd_prunes() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    scene.repository.remove(&format!("connectors/{}.yaml", request.name));
    scene.push("Remove it", &["connectors"]).await;
    until_gone(&scene.env, &request).await;
    scene.write("connectors", &request, &request.manifest());
    scene.push("Put it back", &["connectors"]).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn a_file_moved_between_applications_that_prune_is_called_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    scene.application("moved", json!({})).await;
    move_file(&scene, &request);
    scene.push("Move it", &["connectors"]).await;
    until_gone(&scene.env, &request).await;
    scene.sync("moved").await;
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn a_file_moved_with_the_annotation_of_the_examples_is_not_called_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, keep).await;
    let before = scene.env.uid(&request).await;
    scene.application("moved", json!({})).await;
    move_file(&scene, &request);
    scene.push("Move it", &["connectors"]).await;
    scene.sync("connectors").await;
    scene.sync("moved").await;
    scene.env.settle().await;
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

fn move_file(scene: &Scene, request: &Request) {
    let name = format!("{}.yaml", request.name);
    scene.repository.rename(&format!("connectors/{name}"), &format!("moved/{name}"));
}

#[tokio::test]
async fn a_sync_with_force_and_replace_creates_the_object_again_and_calls_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    let sync = json!({"syncOptions": ["Replace=true"], "syncStrategy": {"apply": {"force": true}}});
    scene.sync_with("connectors", sync).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    assert_ne!(scene.env.uid(&request).await, before);
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn a_sync_with_replace_alone_keeps_the_record() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    let application = scene.sync_with("connectors", json!({"syncOptions": ["Replace=true"]})).await;
    eprintln!("{}", application["status"]["operationState"]["message"]);
    scene.env.settle().await;
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "RolledBack");
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_refused_change_fails_the_sync_and_keeps_the_record() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    scene.change("connectors", json!({"spec": {"syncPolicy": null}})).await;
    scene.write("connectors", &request, &request.manifest().spec("version", "latest"));
    scene.push("Change the version", &["connectors"]).await;
    let application = scene.sync("connectors").await;
    let state = &application["status"]["operationState"];
    assert_eq!(state["phase"], "Failed", "{state:#}");
    assert!(state.to_string().contains("immutable"), "{state:#}");
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn deleting_an_application_deletes_its_requests_unless_they_have_the_annotation() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    let kept = scene.rollback("connectors", "kept", keep);
    scene.push("Roll back another", &["connectors"]).await;
    until_applied(scene.argocd, &scene.env, &kept).await;
    scene.env.wait_for(&kept, "RolledBack").await;
    scene.delete("connectors").await;
    until_gone(&scene.env, &request).await;
    assert_eq!(scene.env.get(kept.kind, &kept.name).await.reason(), "RolledBack");
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn self_heal_creates_an_object_deleted_by_hand_again_and_it_is_called_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    scene.until("connectors", "synced", |it| it["status"]["sync"]["status"] == "Synced").await;
    scene.env.delete(request.kind, &request.name).await;
    let begun = Instant::now();
    eventually("another object", async || {
        let object = scene.env.objects(request.kind).get_opt(&request.name).await.expect("an answer")?;
        (json!(object.metadata.uid) != before).then_some(())
    })
    .await;
    eprintln!("created again after {:?}", begun.elapsed());
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

/// Self-heal brings both back in seconds, or it syncs the request alone, gives up, and leaves it to the next sync.
#[tokio::test]
async fn a_namespace_deleted_by_hand_comes_back_at_the_next_sync_and_its_request_is_called_again() {
    let scene = Scene::new().await;
    let other = format!("{}-other", scene.env.namespace);
    let _operator = scene.env.start(Flags::fast_retries().with("--namespaces", &other)).await;
    let request = scene.rollback("connectors", "done", |manifest| manifest);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}});
    scene.repository.write("connectors/namespace.yaml", &namespace.to_string());
    scene.repository.commit("Roll back").await;
    scene.application_in(&other, "connectors", sample()).await;
    let calls = || scene.env.attempts(&request).len();
    let synced = |it: &Value| calls() == 1 && it["status"]["sync"]["status"] == "Synced";
    scene.until("connectors", "synced", synced).await;
    scene.env.kubectl(&["delete", "namespace", &other], "").await;
    let gives_up = |it: &Value| it["status"]["operationState"]["phase"] == "Failed";
    scene.until("connectors", "healed", |it| calls() == 2 || gives_up(it)).await;
    eprintln!("self-heal has {}", if calls() == 2 { "called again" } else { "given up" });
    if calls() == 1 {
        scene.sync("connectors").await;
    }
    scene.until("connectors", "the cause of another call", |_| calls() == 2).await;
}
