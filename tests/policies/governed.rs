//! A world under all policies at once, each in force before a test goes on.

use std::time::Instant;

use cde_sandbox::cde::new_id;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::world::{LIMIT, Manifest, POLL, World, restore};

const POLICIES: [&str; 3] = ["connectors-by-namespace", "retry-only", "production-preconditions"];

/// A namespace that is given these connectors.
pub(crate) async fn governed(given: &str) -> World {
    let world = ungiven().await;
    give(&world, given).await;
    world
}

/// A namespace that is given none.
pub(crate) async fn ungiven() -> World {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let world = World::new().await;
    INSTALLED
        .get_or_init(async || {
            for policy in POLICIES {
                let path = format!("{}/deploy/policies/{policy}", env!("CARGO_MANIFEST_DIR"));
                world.plane.kubectl_ok(&["apply", "--validate=strict", "-k", &path], "").await.unwrap();
            }
        })
        .await;
    until(&world, &[], &restore("probe", new_id()), Some("is not given the connector")).await;
    world
}

/// Gives the namespace these connectors, in place of others, and waits until the API server knows.
pub(crate) async fn give(world: &World, given: &str) {
    let patch = json!({"data": {&world.namespace: given}}).to_string();
    let config_map = ["-n", "cde-operator-system", "patch", "configmap", "cde-connectors"];
    let args = [&config_map[..], &["--type=merge", "-p", &patch]].concat();
    world.plane.kubectl_ok(&args, "").await.unwrap();
    match given.split_whitespace().next() {
        Some("*") => until(world, &[], &restore("probe", new_id()), None).await,
        Some(id) => until(world, &[], &restore("probe", id.parse().unwrap()), None).await,
        None => until(world, &[], &restore("probe", new_id()), Some("is not given the connector")).await,
    }
}

/// Waits until creating this, with these arguments of kubectl's, is refused in these words, or taken.
pub(crate) async fn until(world: &World, args: &[&str], manifest: &Manifest, refused: Option<&str>) {
    let args = [args, &["create", "--dry-run=server", "-f", "-"]].concat();
    let begun = Instant::now();
    loop {
        let told = world.try_kubectl(&args, &manifest.yaml()).await;
        match (&told, refused) {
            (Ok(_), None) => return,
            (Err(error), Some(words)) if error.contains(words) => return,
            _ => assert!(begun.elapsed() < LIMIT, "{told:?} after {LIMIT:?}, not {refused:?}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A person with a role in this world's namespace, whose binding is in force: the argument of kubectl's for them.
pub(crate) async fn person(world: &World, name: &str, role: &str) -> String {
    let user = format!("{name}-of-{}", world.namespace);
    let binding =
        ["create", "rolebinding", &user, &format!("--clusterrole={role}"), &format!("--user={user}")];
    world.kubectl(&binding, "").await;
    let user = format!("--as={user}");
    let begun = Instant::now();
    while world.try_kubectl(&[&user, "auth", "can-i", "patch", "mrb"], "").await.is_err() {
        assert!(begun.elapsed() < LIMIT, "{user} may still do nothing");
        tokio::time::sleep(POLL).await;
    }
    user
}
