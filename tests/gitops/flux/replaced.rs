//! What deletes an object or creates it again.

use std::time::Instant;

use cde_harness::{Flags, Kind, Manifest, Request};
use cde_sandbox::cde::Fault;
use serde_json::json;

use super::{Scene, message};
use crate::controller::{eventually, until_applied, until_gone};

const KEEP: (&str, &str) = ("kustomize.toolkit.fluxcd.io/prune", "disabled");

/// A request that has succeeded, applied by the Kustomization of `directory`.
async fn succeeded(scene: &Scene, directory: &str, change: impl Fn(Manifest) -> Manifest) -> Request {
    let request = scene.env.request(Kind::Rollback, "done", Fault::default());
    scene.write(directory, &request, &change(request.manifest()));
    // A directory without a file is not in Git.
    scene.repository.write("connectors/kept.yaml", &config_map("kept"));
    scene.repository.write("moved/moved.yaml", &config_map("moved"));
    let revision = scene.push("Roll back").await;
    scene.kustomization(directory, json!({})).await;
    scene.until_ready(directory, &revision).await;
    scene.env.wait_for(&request, "RolledBack").await;
    request
}

fn config_map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string()
}

#[tokio::test]
async fn a_file_removed_and_put_back_is_called_again_where_flux_prunes() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    let path = format!("connectors/{}.yaml", request.name);
    scene.repository.remove(&path);
    scene.push("Remove it").await;
    until_gone(&scene.env, &request).await;
    scene.write("connectors", &request, &request.manifest());
    scene.push("Put it back").await;
    until_applied(scene.flux, &scene.env, &request).await;
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn the_annotation_of_the_examples_keeps_an_object_that_flux_would_prune() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest.annotation(KEEP.0, KEEP.1)).await;
    let before = scene.env.uid(&request).await;
    scene.repository.remove(&format!("connectors/{}.yaml", request.name));
    let revision = scene.push("Remove it").await;
    scene.until_ready("connectors", &revision).await;
    assert_eq!(scene.env.uid(&request).await, before);
}

/// Moves the request's file to a second Kustomization. The one that had it acts first.
async fn moved(scene: &Scene, request: &Request) {
    let suspended = json!({"suspend": true});
    scene.kustomization("moved", suspended).await;
    let name = format!("{}.yaml", request.name);
    scene.repository.rename(&format!("connectors/{name}"), &format!("moved/{name}"));
    let revision = scene.push("Move it").await;
    scene.until_ready("connectors", &revision).await;
    scene.change("Kustomization", "moved", json!({"spec": {"suspend": false}})).await;
    scene.until_ready("moved", &revision).await;
}

#[tokio::test]
async fn a_file_moved_between_kustomizations_that_prune_is_called_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    moved(&scene, &request).await;
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn a_file_moved_with_the_annotation_of_the_examples_is_not_called_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest.annotation(KEEP.0, KEEP.1)).await;
    let before = scene.env.uid(&request).await;
    moved(&scene, &request).await;
    scene.env.settle().await;
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

/// Changes an immutable field of the request in Git.
fn other_version(scene: &Scene, request: &Request) {
    scene.write("connectors", request, &request.manifest().spec("version", "latest"));
}

#[tokio::test]
async fn without_force_a_refused_change_fails_the_kustomization_and_keeps_the_record() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    other_version(&scene, &request);
    scene.push("Change the version").await;
    let failed = scene.until("connectors", "failed", |it| message(it, "Ready").contains("immutable")).await;
    eprintln!("{}", message(&failed, "Ready"));
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.attempts(&request).len(), 1);

    // Nobody needs to wait for a retry of the refused commit.
    scene.write("connectors", &request, &request.manifest());
    let revision = scene.push("Change it back").await;
    scene.until_ready("connectors", &revision).await;
}

#[tokio::test]
async fn with_force_a_refused_change_creates_the_object_again_and_calls_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    scene.change("Kustomization", "connectors", json!({"spec": {"force": true}})).await;
    other_version(&scene, &request);
    let revision = scene.push("Change the version").await;
    scene.until_ready("connectors", &revision).await;
    assert_ne!(scene.env.uid(&request).await, before);
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn deleting_a_kustomization_that_prunes_deletes_its_requests() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    scene.delete("Kustomization", "connectors").await;
    until_gone(&scene.env, &request).await;
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn deleting_a_kustomization_keeps_requests_with_the_annotation_of_the_examples() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest.annotation(KEEP.0, KEEP.1)).await;
    scene.delete("Kustomization", "connectors").await;
    scene.until_config_map_is_gone("kept").await;
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "RolledBack");
}

#[tokio::test]
async fn a_renamed_file_changes_nothing_and_a_renamed_object_is_a_new_request() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    let before = scene.env.uid(&request).await;
    let file = format!("connectors/{}.yaml", request.name);
    scene.repository.rename(&file, "connectors/archive/renamed.yaml");
    let revision = scene.push("Rename the file").await;
    scene.until_ready("connectors", &revision).await;
    assert_eq!(scene.env.uid(&request).await, before);
    assert_eq!(scene.env.attempts(&request).len(), 1);

    scene.repository.remove("connectors/archive/renamed.yaml");
    let renamed = Request { name: format!("{}-again", request.name), ..request.clone() };
    scene.write("connectors", &renamed, &renamed.manifest());
    scene.push("Rename the object").await;
    until_gone(&scene.env, &request).await;
    scene.env.wait_until_finished(&renamed).await;
    assert_eq!(scene.env.attempts(&renamed).len(), 2);
}

#[tokio::test]
async fn an_object_deleted_by_hand_comes_back_at_the_next_run_and_is_called_again() {
    let scene = Scene::new().await;
    let request = succeeded(&scene, "connectors", |manifest| manifest).await;
    scene.env.delete(request.kind, &request.name).await;
    scene.reconcile("connectors").await;
    scene.env.wait_until_finished(&request).await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn preconditions_keep_an_object_that_comes_back_from_being_called_again() {
    let scene = Scene::new().await;
    let guarded =
        |manifest: Manifest| manifest.spec("preconditions", json!({"executables": {"production": 25}}));
    let request = succeeded(&scene, "connectors", guarded).await;
    scene.env.delete(request.kind, &request.name).await;
    scene.reconcile("connectors").await;
    scene.env.wait_for(&request, "PreconditionFailed").await;
    assert_eq!(scene.env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_namespace_deleted_by_hand_comes_back_and_its_requests_are_called_again() {
    let scene = Scene::new().await;
    let other = format!("{}-other", scene.env.namespace);
    let _operator = scene.env.start(Flags::fast_retries().with("--namespaces", &other)).await;
    let request = scene.env.request(Kind::Rollback, "done", Fault::default());
    scene.write("connectors", &request, &request.manifest());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}});
    scene.repository.write("connectors/namespace.yaml", &namespace.to_string());
    let revision = scene.push("Roll back").await;
    scene.kustomization("connectors", json!({"targetNamespace": other})).await;
    scene.until_ready("connectors", &revision).await;
    let calls = async |count| {
        let called = async || (scene.env.attempts(&request).len() == count).then_some(());
        eventually(&format!("{count} calls"), called).await;
    };
    calls(1).await;
    let begun = Instant::now();
    scene.env.kubectl(&["delete", "namespace", &other], "").await;
    eprintln!("the namespace was gone after {:?}", begun.elapsed());
    scene.reconcile("connectors").await;
    calls(2).await;
}
