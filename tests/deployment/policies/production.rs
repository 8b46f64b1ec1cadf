//! Preconditions in production namespaces.

use cde_sandbox::cde::new_id;
use serde_json::{Value, json};

use crate::policies::governed::{governed, until};
use cde_harness::{Manifest, TestEnv, restore, rollback};

fn words(env: &TestEnv) -> String {
    format!(
        "the namespace {} is a production namespace; set spec.preconditions.executables.production to the executable \
         that runs in production now, so that the rollback cannot affect another release",
        env.namespace
    )
}

async fn label(env: &TestEnv) {
    let label = ["label", "namespace", &env.namespace, "cde.productsup.com/environment=production"];
    env.control_plane.kubectl_ok(&label, "").await.unwrap();
    until(env, &[], &rollback("probe", new_id(), "main"), Some(&words(env))).await;
}

fn with(name: &str, preconditions: Value) -> Manifest {
    rollback(name, new_id(), "main").spec("preconditions", preconditions)
}

#[tokio::test]
async fn a_rollback_in_a_production_namespace_needs_preconditions() {
    let env = governed("*").await;
    env.apply(&rollback("before", new_id(), "main")).await;
    label(&env).await;

    for manifest in [
        rollback("without", new_id(), "main"),
        with("state", json!({"state": "synchronized-to-prod"})),
        with("legacy", json!({"executables": {"legacy": 24}})),
    ] {
        let refusal = env.try_kubectl(&["create", "-f", "-"], &manifest.yaml()).await;
        let refusal = refusal.expect_err("it is rejected");
        assert!(refusal.contains(&words(&env)), "{refusal}");
    }
    env.apply(&with("good", json!({"executables": {"production": 25}}))).await;
    env.apply(&restore("out", new_id())).await;
}

#[tokio::test]
async fn preconditions_in_production_cannot_be_removed_and_older_rollbacks_stay_valid() {
    let env = governed("*").await;
    env.apply(&rollback("before", new_id(), "main")).await;
    label(&env).await;
    env.apply(&with("good", json!({"executables": {"production": 25}}))).await;

    for change in
        [json!({"preconditions": null}), json!({"preconditions": {"executables": null, "state": "built"}})]
    {
        let patch = json!({"spec": change}).to_string();
        let refusal = env.try_kubectl(&["patch", "mrb", "good", "--type=merge", "-p", &patch], "").await;
        let refusal = refusal.expect_err("it is rejected");
        assert!(refusal.contains(&words(&env)), "{refusal}");
    }
    let patch = json!({"spec": {"suspend": true}}).to_string();
    for name in ["good", "before"] {
        env.kubectl(&["patch", "mrb", name, "--type=merge", "-p", &patch], "").await;
        env.kubectl(&["delete", "mrb", name], "").await;
    }
}

#[tokio::test]
async fn a_namespace_without_the_label_is_not_affected() {
    let production = governed("*").await;
    label(&production).await;
    let other = governed("*").await;
    other.apply(&rollback("bare", new_id(), "main")).await;
}
