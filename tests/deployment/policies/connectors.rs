//! Which namespace may create requests for which connectors.

use cde_sandbox::cde::new_id;
use serde_json::json;
use uuid::Uuid;

use crate::policies::governed::{give, governed, ungiven};
use cde_harness::{Kind, Manifest, Request, TestEnv, restore, rollback};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

async fn create(env: &TestEnv, manifest: &Manifest) -> Result<String, String> {
    env.try_kubectl(&["create", "-f", "-"], &manifest.yaml()).await
}

/// Returns the message that says what to do.
fn sentence(env: &TestEnv, connector: Uuid) -> String {
    let namespace = &env.namespace;
    format!(
        "the connector {connector} is not assigned to the namespace {namespace}; ask the team that runs the operator \
         to add it under the key {namespace} of the ConfigMap cde-connectors in the namespace of the operator"
    )
}

#[tokio::test]
async fn a_namespace_may_create_requests_only_for_its_connectors() {
    let [one, two, other] = [new_id(), new_id(), new_id()];
    let env = governed(&format!("{one}\n\t{two} \n")).await;
    for (name, id) in [("one", one), ("two", two)] {
        create(&env, &restore(name, id)).await.expect("it is allowed");
        create(&env, &rollback(name, id, "main")).await.expect("it is allowed");
    }
    for manifest in [restore("other", other), rollback("other", other, "main")] {
        let refusal = create(&env, &manifest).await.expect_err("it is not allowed");
        assert!(refusal.contains(&sentence(&env, other)), "{refusal}");
    }
}

#[tokio::test]
async fn a_namespace_without_an_entry_has_no_connectors_and_a_star_means_all() {
    let env = ungiven().await;
    let id = new_id();
    let refusal = create(&env, &restore("it", id)).await.expect_err("nothing is allowed");
    assert!(refusal.contains(&sentence(&env, id)), "{refusal}");

    give(&env, "*").await;

    create(&env, &restore("it", id)).await.expect("all are allowed");
}

#[tokio::test]
async fn after_a_connector_is_removed_its_requests_can_be_deleted_but_not_retried() {
    let env = governed("*").await;
    for kind in BOTH {
        let request = Request::new(kind, "kept");
        let manifest = request.manifest().spec("suspend", true).finalizer();
        give(&env, "*").await;
        env.apply(&manifest).await;
        give(&env, &new_id().to_string()).await;

        env.apply(&manifest).await;
        env.kubectl(&["label", kind.short(), &request.name, "a=b"], "").await;
        let resumed = json!({"spec": {"suspend": false}}).to_string();
        let (short, name) = (kind.short(), request.name.as_str());
        for args in [
            &["patch", short, name, "--type=merge", "-p", &resumed][..],
            &["annotate", short, name, "cde.productsup.com/retry=2026-11-23T12:00:00Z"][..],
        ] {
            let refusal = env.try_kubectl(args, "").await.expect_err("it is no longer allowed");
            assert!(refusal.contains(&sentence(&env, request.id)), "{refusal}");
        }
        env.delete(kind, &request.name).await;
        env.patch(&request, json!({"metadata": {"finalizers": null}})).await;
        assert!(env.try_kubectl(&["get", kind.short(), &request.name], "").await.is_err(), "it is deleted");
    }
}
