//! What a user sees without the scripts, and what becomes of them where Argo CD manages its own settings.

use cde_harness::Kind;
use cde_sandbox::cde::{Fault, Operation};
use serde_json::{Value, json};

use super::install::{another, scripts, settings};
use super::{Scene, automated};
use crate::argocd_cm::scripts_in;

#[tokio::test]
async fn without_the_scripts_a_failed_request_is_healthy_and_has_no_action_until_they_are_back() {
    let scene = Scene::on(another().await).await;
    let namespace = scene.installation.namespace;
    let refused = Fault::on(Operation::Changing).answer(403).always();
    let request = scene.env.request(Kind::Restore, "refused", refused);
    scene.write("connectors", &request, &request.manifest());
    scene.repository.commit("Restore").await;
    scene.application("connectors", automated()).await;
    scene.until_health("connectors", "Degraded").await;
    assert_eq!(scripts_in(&scene.env, namespace).await, 4);

    let kubectl = async |args: &[&str], stdin: &str| {
        let args = [&["-n", namespace], args].concat();
        scene.env.control_plane.kubectl_ok(&args, stdin).await.unwrap();
    };
    kubectl(&["replace", "-f", "-"], &settings().to_string()).await;
    assert_eq!(scripts_in(&scene.env, namespace).await, 0);
    scene.refresh_until_health("connectors", "Healthy").await;
    let name = scene.name("connectors");
    let list = ["app", "actions", "list", &name, "--resource-name", &request.name, "--out", "json"];
    let actions = scene.installation.cli(&list).await.unwrap();
    let actions: Value = serde_json::from_str(&actions).unwrap();
    assert!(actions.as_array().is_none_or(Vec::is_empty), "{actions}");

    let scripts = scripts().display().to_string();
    kubectl(&["patch", "configmap", "argocd-cm", "--patch-file", &scripts], "").await;
    scene.refresh_until_health("connectors", "Degraded").await;
}

#[tokio::test]
async fn self_heal_keeps_scripts_that_were_patched_into_its_settings() {
    let scene = Scene::new().await;
    scene.repository.write("settings/argocd-cm.yaml", &settings().to_string());
    scene.repository.commit("Install Argo CD").await;
    scene.application("settings", automated()).await;
    scene.until("settings", "synced", |it| it["status"]["sync"]["status"] == "Synced").await;
    crate::argocd_cm::patch_scripts(&scene.env, &[]).await;
    let mut changed = settings();
    changed["data"] = json!({"url": "https://argocd.example.com"});
    scene.repository.write("settings/argocd-cm.yaml", &changed.to_string());
    let revision = scene.push("Change another setting", &["settings"]).await;
    scene
        .until("settings", "synced", |it| {
            it["status"]["operationState"]["syncResult"]["revision"] == json!(revision)
                && it["status"]["sync"]["status"] == "Synced"
        })
        .await;
    assert_eq!(scripts_in(&scene.env, &scene.env.namespace).await, 4);
}
