//! The emergency brake under self-heal.

use std::time::Instant;

use cde_harness::Kind;
use cde_sandbox::cde::{Fault, Operation};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::{Value, json};

use super::{Scene, automated};
use crate::controller::{eventually, until_applied};
use crate::policies::Policy;

const NAME: &str = "cde-operator";

/// The operator's Deployment under an Application that heals itself.
async fn installed() -> Scene {
    let scene = Scene::new().await;
    let file = cde_sandbox::program::workspace().join("deploy/operator/deployment.yaml");
    let yaml = std::fs::read_to_string(file).unwrap();
    let mut deployment: Value = serde_saphyr::from_str(&yaml).unwrap();
    deployment["metadata"]["namespace"] = json!(scene.env.namespace);
    scene.repository.write("operator/deployment.yaml", &deployment.to_string());
    scene.repository.commit("Install the operator").await;
    scene.application("operator", automated()).await;
    scene.until("operator", "synced", |it| it["status"]["sync"]["status"] == "Synced").await;
    scene
}

async fn until_replicas(scene: &Scene, replicas: i32) {
    let deployments: Api<Deployment> = Api::namespaced(scene.env.client.clone(), &scene.env.namespace);
    eventually(&format!("{replicas} replicas"), async || {
        let deployment = deployments.get(NAME).await.expect("it is there");
        (deployment.spec.expect("a spec").replicas == Some(replicas)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn self_heal_restores_an_operator_that_was_scaled_down() {
    let scene = installed().await;
    scene.env.kubectl(&["scale", "deployment", NAME, "--replicas=0"], "").await;
    let begun = Instant::now();
    until_replicas(&scene, 1).await;
    eprintln!("scaled up again after {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_operator_scaled_down_after_its_application_was_suspended_stays_down() {
    let scene = installed().await;
    // What `argocd app set --sync-policy none` does.
    scene.change("operator", json!({"spec": {"syncPolicy": {"automated": null}}})).await;
    scene.env.kubectl(&["scale", "deployment", NAME, "--replicas=0"], "").await;
    scene.refresh("operator").await;
    scene.until("operator", "out of sync", |it| it["status"]["sync"]["status"] == "OutOfSync").await;
    until_replicas(&scene, 0).await;
}

#[tokio::test]
async fn the_brake_holds_under_self_heal_and_is_released_by_hand() {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, "braked", down);
    scene.write("connectors", &request, &request.manifest());
    scene.repository.commit("Roll back").await;
    let brake = Policy::brake(&scene.env).await;
    scene.application("connectors", automated()).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    brake.until_it_refuses_a_claim_of(&scene.env, &request).await;
    scene.sync("connectors").await;
    assert_eq!(scene.env.attempts(&request).len(), 0);

    scene.env.sandbox.clear_faults();
    brake.delete(&scene.env).await;
    scene.env.wait_for(&request, "RolledBack").await;
    assert_eq!(scene.env.attempts(&request).len(), 1);
}
