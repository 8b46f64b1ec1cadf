//! The next version of the API as docs/upgrade.md announces it: served beside this one with the same schema, then
//! stored, then the only version in the store.

use std::time::Instant;

use serde_json::{Value, json};

use crate::tools::own_control_plane;
use crate::upgrade::existing::ExistingRequests;
use crate::upgrade::version::Version;
use cde_harness::{LIMIT, POLL, TestEnv};

const KINDS: [&str; 2] = ["connectorrestores", "migrationrollbacks"];

#[tokio::test]
async fn a_new_version_is_served_then_stored_and_no_request_is_created_again() {
    let env = TestEnv::on(own_control_plane().await).await;
    Version::Present.define(&env).await;
    let _operator = env.start(Version::Present.replica("one", "20s").await).await;
    let mut existing = ExistingRequests::create(&env).await;

    serve_both(&env, "v1alpha1").await;
    for kind in KINDS {
        let beta = read_as_beta(&env, kind).await;
        let alpha = format!("{kind}.v1alpha1.cde.productsup.com");
        let alpha = json(&env.kubectl(&["get", &alpha, "-ojson"], "").await);
        assert_eq!(statuses(&beta), statuses(&alpha));
        assert_eq!(beta["items"][0]["apiVersion"], "cde.productsup.com/v1beta1");
    }
    serve_both(&env, "v1beta1").await;
    env.settle().await;
    existing.check_unchanged(&env).await;

    // Each object is written once, so that it is stored as the new version. Then only that version is in the store.
    for kind in KINDS {
        let all = env.kubectl(&["get", kind, "-ojson"], "").await;
        env.kubectl(&["replace", "-f", "-"], &all).await;
        let crd = format!("{kind}.cde.productsup.com");
        let stored = r#"{"status":{"storedVersions":["v1beta1"]}}"#;
        let patch = ["patch", "crd", &crd, "--subresource=status", "--type=merge", "-p", stored];
        env.control_plane.kubectl_ok(&patch, "").await.unwrap();
    }
    env.settle().await;
    existing.check_rewritten(&env).await;
    existing.check_retries(&env).await;
}

/// Applies the present CRDs with `v1beta1` beside `v1alpha1`, one of which is stored.
async fn serve_both(env: &TestEnv, stored: &str) {
    for crd in cde_operator::api::crds() {
        let mut crd = serde_json::to_value(crd).expect("a CRD is JSON");
        let alpha = crd["spec"]["versions"][0].clone();
        let versions = ["v1alpha1", "v1beta1"].map(|name| {
            let mut version = alpha.clone();
            version["name"] = json!(name);
            version["storage"] = json!(name == stored);
            version
        });
        crd["spec"]["versions"] = json!(versions);
        env.control_plane.kubectl_ok(&["apply", "-f", "-"], &crd.to_string()).await.unwrap();
    }
    for kind in KINDS {
        until_stored(env, kind, stored).await;
    }
}

async fn until_stored(env: &TestEnv, kind: &str, stored: &str) {
    let crd = format!("{kind}.cde.productsup.com");
    let begun = Instant::now();
    loop {
        let found = json(&env.control_plane.kubectl_ok(&["get", "crd", &crd, "-ojson"], "").await.unwrap());
        if found["status"]["storedVersions"].as_array().is_some_and(|all| all.contains(&json!(stored))) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{stored} is not stored: {}", found["status"]);
        tokio::time::sleep(POLL).await;
    }
}

/// A version is served shortly after its CRD says so.
async fn read_as_beta(env: &TestEnv, kind: &str) -> Value {
    let begun = Instant::now();
    loop {
        match env.try_kubectl(&["get", &format!("{kind}.v1beta1.cde.productsup.com"), "-ojson"], "").await {
            Ok(found) => return json(&found),
            Err(refusal) => assert!(begun.elapsed() < LIMIT, "{refusal}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Returns the UIDs and the statuses.
fn statuses(list: &Value) -> Vec<(Value, Value)> {
    let items = list["items"].as_array().expect("a list");
    assert!(!items.is_empty());
    items.iter().map(|item| (item["metadata"]["uid"].clone(), item["status"].clone())).collect()
}
