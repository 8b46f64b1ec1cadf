//! Commits that are merged while an earlier request waits for the CDE API.

use std::time::{Duration, Instant};

use cde_harness::{Kind, Request};
use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::program::workspace;
use serde_json::{Value, json};

use super::{Scene, condition, message};
use crate::controller::until_applied;

/// A request that waits, in a directory whose Kustomization waits for it.
async fn waiting(scene: &Scene) -> Request {
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.env.request(Kind::Rollback, "waiting", down);
    scene.write("connectors", &request, &request.manifest());
    scene.push("Roll back").await;
    request
}

/// Commits another request once Flux waits for the first, and returns it.
async fn urgent(scene: &Scene, first: &Request) -> Request {
    until_applied(scene.flux, &scene.env, first).await;
    scene.until("connectors", "waiting", |it| message(it, "Healthy").contains("health checks")).await;
    let urgent = scene.env.request(Kind::Rollback, "urgent", Fault::default());
    scene.write("connectors", &urgent, &urgent.manifest());
    scene.push("Roll back another").await;
    urgent
}

#[tokio::test]
async fn a_wait_holds_up_the_next_commit_until_its_timeout() {
    let scene = Scene::new().await;
    let first = waiting(&scene).await;
    let begun = Instant::now();
    scene.kustomization("connectors", json!({"wait": true, "timeout": "40s", "retryInterval": "1h"})).await;
    let urgent = urgent(&scene, &first).await;
    until_applied(scene.flux, &scene.env, &urgent).await;
    eprintln!("applied {:?} after the wait began, with a timeout of 40 s", begun.elapsed());
    assert!(begun.elapsed() >= Duration::from_secs(40));
}

#[tokio::test]
async fn the_gate_that_cancels_health_checks_lets_the_next_commit_through() {
    let scene = Scene::new().await;
    let first = waiting(&scene).await;
    scene.kustomization_that_cancels("connectors", json!({"wait": true, "timeout": "1h"})).await;
    let urgent = urgent(&scene, &first).await;
    eprintln!("applied after {:?}", until_applied(scene.flux, &scene.env, &urgent).await);
    scene.env.wait_for(&urgent, "RolledBack").await;
}

#[tokio::test]
async fn the_sample_applies_an_urgent_request_during_an_outage_within_two_minutes() {
    let scene = Scene::new().await;
    let first = waiting(&scene).await;
    let sample = std::fs::read_to_string(workspace().join("deploy/flux/connectors.yaml")).unwrap();
    let sample: Value = serde_saphyr::from_str(&sample).unwrap();
    let mut spec = sample["spec"].clone();
    spec.as_object_mut().unwrap().remove("dependsOn");
    scene.kustomization("connectors", spec).await;
    let urgent = urgent(&scene, &first).await;
    let took = until_applied(scene.flux, &scene.env, &urgent).await;
    eprintln!("applied after {took:?}");
    assert!(took < Duration::from_mins(2), "{took:?}");
    scene.env.wait_for(&urgent, "RolledBack").await;

    // Once the API answers again, the Kustomization becomes ready without anybody's help.
    scene.env.sandbox.clear_faults();
    scene.until("connectors", "ready", |it| condition(it, "Ready")["status"] == "True").await;
}
