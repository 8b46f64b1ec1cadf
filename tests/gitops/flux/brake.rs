//! The operator's Deployment, scaled down in an emergency.

use cde_sandbox::program::workspace;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::{Value, json};

use super::Scene;

const NAME: &str = "cde-operator";

/// The operator's Deployment, applied by a Kustomization and scaled down by hand.
async fn scaled_down(suspended: bool) -> Scene {
    let scene = Scene::new().await;
    let file = workspace().join("deploy/operator/deployment.yaml");
    let yaml = std::fs::read_to_string(file).unwrap();
    let mut deployment: Value = serde_saphyr::from_str(&yaml).unwrap();
    deployment["metadata"]["namespace"] = json!(scene.env.namespace);
    scene.repository.write("operator/deployment.yaml", &deployment.to_string());
    let revision = scene.push("Install the operator").await;
    scene.kustomization("operator", json!({})).await;
    scene.until_ready("operator", &revision).await;
    if suspended {
        // What `flux suspend kustomization` does.
        scene.change("Kustomization", "operator", json!({"spec": {"suspend": true}})).await;
    }
    scene.env.kubectl(&["scale", "deployment", NAME, "--replicas=0"], "").await;
    scene
}

async fn replicas(scene: &Scene) -> Option<i32> {
    let deployments: Api<Deployment> = Api::namespaced(scene.env.client.clone(), &scene.env.namespace);
    deployments.get(NAME).await.expect("it is there").spec.expect("a spec").replicas
}

#[tokio::test]
async fn the_next_run_scales_up_an_operator_that_was_scaled_down() {
    let scene = scaled_down(false).await;
    scene.reconcile("operator").await;
    assert_eq!(replicas(&scene).await, Some(1));
}

#[tokio::test]
async fn an_operator_scaled_down_after_its_kustomization_was_suspended_stays_down() {
    let scene = scaled_down(true).await;
    scene.repository.write("operator/unrelated.yaml", "# nothing");
    scene.push("Change something else").await;
    // Another Kustomization of the same source shows that Flux has seen the commit.
    scene.repository.write(
        "other/other.yaml",
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}"#,
    );
    let revision = scene.push("Add something").await;
    scene.kustomization("other", json!({})).await;
    scene.until_ready("other", &revision).await;
    assert_eq!(replicas(&scene).await, Some(0));
}
