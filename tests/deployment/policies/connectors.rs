//! Which namespace may ask for which connectors.

use cde_sandbox::cde::new_id;
use serde_json::json;
use uuid::Uuid;

use crate::policies::governed::{give, governed, ungiven};
use cde_harness::{Kind, Manifest, Request, TestEnv, restore, rollback};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

async fn create(env: &TestEnv, manifest: &Manifest) -> Result<String, String> {
    env.try_kubectl(&["create", "-f", "-"], &manifest.yaml()).await
}

/// The sentence that tells what to do.
fn sentence(env: &TestEnv, connector: Uuid) -> String {
    let namespace = &env.namespace;
    format!(
        "the connector {connector} is not assigned to the namespace {namespace}; ask the team that runs the operator \
         to add it under the key {namespace} of the ConfigMap cde-connectors in the namespace of the operator"
    )
}

#[tokio::test]
async fn a_namespace_may_ask_for_the_connectors_that_it_is_given_and_for_no_other() {
    let [one, two, other] = [new_id(), new_id(), new_id()];
    let env = governed(&format!("{one}\n\t{two} \n")).await;
    for (name, id) in [("one", one), ("two", two)] {
        create(&env, &restore(name, id)).await.expect("it is given");
        create(&env, &rollback(name, id, "main")).await.expect("it is given");
    }
    for manifest in [restore("other", other), rollback("other", other, "main")] {
        let refusal = create(&env, &manifest).await.expect_err("it is not given");
        assert!(refusal.contains(&sentence(&env, other)), "{refusal}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_not_named_may_ask_for_none_and_a_star_stands_for_all() {
    let env = ungiven().await;
    let id = new_id();
    let refusal = create(&env, &restore("it", id)).await.expect_err("nothing is given");
    assert!(refusal.contains(&sentence(&env, id)), "{refusal}");

    give(&env, "*").await;

    create(&env, &restore("it", id)).await.expect("all are given");
}

#[tokio::test]
async fn when_a_connector_is_taken_away_its_requests_can_be_applied_as_they_are_and_deleted_but_ask_for_nothing()
 {
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
            let refusal = env.try_kubectl(args, "").await.expect_err("it is taken away");
            assert!(refusal.contains(&sentence(&env, request.id)), "{refusal}");
        }
        env.delete(kind, &request.name).await;
        env.patch(&request, json!({"metadata": {"finalizers": null}})).await;
        assert!(env.try_kubectl(&["get", kind.short(), &request.name], "").await.is_err(), "it is gone");
    }
}
