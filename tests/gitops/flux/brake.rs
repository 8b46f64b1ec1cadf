//! The emergency brake, and the operator's Deployment that is scaled down instead.

use cde_harness::Kind;
use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::program::workspace;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::{Value, json};

use super::Scene;
use crate::controller::until_applied;
use crate::policies::Policy;

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

#[tokio::test]
async fn the_brake_holds_under_flux_and_is_released_by_hand() {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let waiting = scene.env.request(Kind::Restore, "waiting", down);
    scene.write("connectors", &waiting, &waiting.manifest());
    scene.push("Restore").await;
    scene.kustomization("connectors", json!({})).await;
    until_applied(scene.flux, &scene.env, &waiting).await;
    scene.env.wait_for(&waiting, "Retrying").await;

    let brake = Policy::brake(&scene.env).await;
    let braked = scene.env.request(Kind::Rollback, "braked", Fault::default());
    scene.write("connectors", &braked, &braked.manifest());
    scene.push("Roll back").await;
    until_applied(scene.flux, &scene.env, &braked).await;
    for request in [&waiting, &braked] {
        brake.until_it_refuses_a_claim_of(&scene.env, request).await;
    }
    let before = scene.env.attempts(&waiting).len();
    scene.reconcile("connectors").await;
    assert_eq!((scene.env.attempts(&waiting).len(), scene.env.attempts(&braked).len()), (before, 0));

    scene.env.sandbox.clear_faults();
    brake.delete(&scene.env).await;
    scene.env.wait_for(&waiting, "Restored").await;
    scene.env.wait_for(&braked, "RolledBack").await;
    for request in [&waiting, &braked] {
        assert_eq!(scene.env.sandbox.effects(request.id), 1);
    }
}
