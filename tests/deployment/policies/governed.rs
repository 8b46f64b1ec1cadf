//! An environment with all policies, each in force before a test continues.

use std::time::Instant;

use cde_sandbox::cde::new_id;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::tools::tools;
use cde_harness::{ControlPlane, LIMIT, Manifest, POLL, SharedControlPlane, TestEnv, restore};

const POLICIES: [&str; 4] = ["connectors-by-namespace", "on-call", "production-preconditions", "warnings"];

/// Returns a namespace that may use these connectors.
pub(crate) async fn governed(given: &str) -> TestEnv {
    let env = ungiven().await;
    give(&env, given).await;
    env
}

/// Returns a namespace that may use no connectors.
pub(crate) async fn ungiven() -> TestEnv {
    // The policies apply to all namespaces, so these tests share a control plane only with each other.
    static GOVERNED: SharedControlPlane = SharedControlPlane::new();
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    tools().await;
    let env = TestEnv::on(ControlPlane::Shared(GOVERNED.get().await)).await;
    INSTALLED
        .get_or_init(async || {
            for policy in POLICIES {
                let path = format!("{}/deploy/policies/{policy}", env!("CARGO_MANIFEST_DIR"));
                env.control_plane.kubectl_ok(&["apply", "--validate=strict", "-k", &path], "").await.unwrap();
            }
        })
        .await;
    until(&env, &[], &restore("probe", new_id()), Some("is not assigned to the namespace")).await;
    env
}

/// Sets the connectors of the namespace, and waits until the API server uses them.
pub(crate) async fn give(env: &TestEnv, given: &str) {
    let patch = json!({"data": {&env.namespace: given}}).to_string();
    let config_map = ["-n", "cde-operator-system", "patch", "configmap", "cde-connectors"];
    let args = [&config_map[..], &["--type=merge", "-p", &patch]].concat();
    env.control_plane.kubectl_ok(&args, "").await.unwrap();
    match given.split_whitespace().next() {
        Some("*") => until(env, &[], &restore("probe", new_id()), None).await,
        Some(id) => until(env, &[], &restore("probe", id.parse().unwrap()), None).await,
        None => until(env, &[], &restore("probe", new_id()), Some("is not assigned to the namespace")).await,
    }
}

/// Waits until creating this manifest, with these arguments of kubectl, is rejected with this message, or accepted.
pub(crate) async fn until(env: &TestEnv, args: &[&str], manifest: &Manifest, refused: Option<&str>) {
    let args = [args, &["create", "--dry-run=server", "-f", "-"]].concat();
    let begun = Instant::now();
    loop {
        let told = env.try_kubectl(&args, &manifest.yaml()).await;
        match (&told, refused) {
            (Ok(_), None) => return,
            (Err(error), Some(words)) if error.contains(words) => return,
            _ => assert!(begun.elapsed() < LIMIT, "{told:?} after {LIMIT:?}, not {refused:?}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Creates a user with a role in this environment's namespace, whose binding is in force. Returns kubectl's argument
/// for them.
pub(crate) async fn person(env: &TestEnv, name: &str, role: &str) -> String {
    let user = format!("{name}-of-{}", env.namespace);
    let binding =
        ["create", "rolebinding", &user, &format!("--clusterrole={role}"), &format!("--user={user}")];
    env.kubectl(&binding, "").await;
    let user = format!("--as={user}");
    let begun = Instant::now();
    while env.try_kubectl(&[&user, "auth", "can-i", "patch", "mrb"], "").await.is_err() {
        assert!(begun.elapsed() < LIMIT, "{user} may still do nothing");
        tokio::time::sleep(POLL).await;
    }
    user
}
