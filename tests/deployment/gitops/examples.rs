//! The example directory of a team, and the manifests for Flux.

use cde_sandbox::cde::{Connector, Operation, Version};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::tools::{test_env, with_fast_retries};
use cde_harness::{Kind, TestEnv};

const OMDB: Uuid = uuid!("c20ad4d7-6fe9-4775-9aa2-7a0c99bff605");
const SPRING: Uuid = uuid!("8f14e45f-ceea-467f-a8d5-91b2c0a7d301");
const STOCK: Uuid = uuid!("aab32389-22bc-425a-af60-6eb525ffdc07");
const NEWSLETTER: Uuid = uuid!("3c59dc04-8e88-4024-b5be-8079a5c74d14");

/// Name, kind, connector, and the resulting reason: at first, and in a rebuilt cluster.
const REQUESTS: [(&str, Kind, Uuid, &str, &str); 4] = [
    ("omdb-2099-12-back-to-legacy", Kind::Rollback, OMDB, "RolledBack", "PreconditionFailed"),
    ("spring-catalogue-restore", Kind::Restore, SPRING, "Restored", "AlreadyRestored"),
    ("stock-sync-2099-12-back-to-legacy", Kind::Rollback, STOCK, "Suspended", "Suspended"),
    ("newsletter-2025-01-back-to-legacy", Kind::Rollback, NEWSLETTER, "Skipped", "Skipped"),
];

fn path(relative: &str) -> String {
    format!("{}/{relative}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the objects of a kustomization of the repository.
async fn rendered(env: &TestEnv, relative: &str) -> Vec<Value> {
    let yaml = env.kubectl(&["kustomize", &path(relative)], "").await;
    serde_saphyr::from_multiple(&yaml).unwrap()
}

/// Applies the directory to this environment's namespace.
async fn apply(env: &TestEnv) {
    let mut objects = rendered(env, "deploy/examples/connectors").await;
    objects.extend(rendered(env, "deploy/examples/prepared").await);
    for mut object in objects {
        if object["kind"] == "Namespace" {
            continue;
        }
        assert_eq!(object["metadata"]["namespace"], "connectors");
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
        assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
        object["metadata"]["namespace"] = json!(env.namespace);
        env.kubectl(&["apply", "--validate=strict", "-f", "-"], &object.to_string()).await;
    }
}

fn seed(env: &TestEnv) {
    let released = |version: &str, production, legacy| {
        Version::new(version).state("synchronized-to-prod").production(production, 5).legacy(legacy)
    };
    env.sandbox.put(Connector::live(OMDB).version(released("1.0.0", 25, 24)).main(1));
    env.sandbox.put(Connector::in_bin(SPRING).version(Version::default()).main(1));
    env.sandbox.put(Connector::live(STOCK).version(released("3.0.1", 63, 62)).main(3));
    env.sandbox.put(Connector::live(NEWSLETTER).version(released("1.0.0", 12, 11)).main(1));
}

#[tokio::test]
async fn the_directory_of_a_team_has_the_expected_results_and_can_be_applied_again() {
    let (env, _operator) = with_fast_retries().await;
    seed(&env);
    apply(&env).await;
    for (name, kind, _, reason, _) in REQUESTS {
        env.wait_for_reason(kind, name, reason).await;
    }
    let effects = || REQUESTS.map(|(_, _, connector, ..)| env.sandbox.effects(connector));
    assert_eq!(effects(), [1, 1, 0, 0]);

    apply(&env).await;

    env.settle().await;
    assert_eq!(effects(), [1, 1, 0, 0]);
}

#[tokio::test]
async fn preconditions_and_not_after_prevent_repeated_rollbacks_in_a_rebuilt_cluster() {
    let (env, _operator) = with_fast_retries().await;
    seed(&env);
    apply(&env).await;
    for (name, kind, _, reason, _) in REQUESTS {
        env.wait_for_reason(kind, name, reason).await;
    }
    let calls = |connector| env.sandbox.calls(Operation::Rollback, connector).len();

    // Another cluster does not have the records of the first one.
    for (name, kind, ..) in REQUESTS {
        env.kubectl(&["delete", kind.short(), name], "").await;
    }
    apply(&env).await;

    for (name, kind, _, _, recreated) in REQUESTS {
        env.wait_for_reason(kind, name, recreated).await;
    }
    assert_eq!((calls(OMDB), calls(STOCK), calls(NEWSLETTER)), (1, 0, 0));
    assert_eq!(env.sandbox.effects(SPRING), 1);
}

#[tokio::test]
async fn the_flux_manifests_wait_for_every_request_and_never_replace_one() {
    let env = test_env().await;
    let objects = rendered(&env, "deploy/flux").await;
    let connectors = objects
        .iter()
        .find(|object| object["metadata"]["name"] == "connectors" && object["kind"] == "Kustomization");
    let spec = &connectors.expect("a Kustomization of the requests")["spec"];
    assert_eq!((&spec["wait"], &spec["force"], &spec["prune"]), (&json!(true), &json!(false), &json!(false)));
    assert_eq!(spec["dependsOn"][0]["name"], "cde-operator");
    // While Flux waits, it applies no later commit of the directory.
    assert_eq!((&spec["timeout"], &spec["retryInterval"]), (&json!("1m"), &json!("1m")));
    let prepared = objects.iter().find(|object| object["metadata"]["name"] == "connectors-prepared");
    assert!(prepared.expect("a Kustomization of suspended requests")["spec"]["wait"].is_null());
    let sources: Vec<_> = objects.iter().filter(|object| object["kind"] == "GitRepository").collect();
    for object in objects.iter().filter(|object| object["kind"] == "Kustomization") {
        assert_eq!(object["spec"]["sourceRef"]["name"], sources[0]["metadata"]["name"]);
    }
}
