//! etcd is restored from a backup, so nothing records what happened since the backup.

use std::path::Path;
use std::process::Command;

use cde_sandbox::cde::{HoldPoint, Operation};
use serde_json::json;

use crate::faults::request::{Request, a_restore, a_rollback, apply, ended};
use cde_harness::{ControlPlane, Flags, TestEnv};

/// Stops the servers, copies etcd's data from one directory to the other, and starts the servers again.
async fn copy_data(control_plane: &ControlPlane, from: &str, to: &str) {
    control_plane.stop_api_server().unwrap();
    control_plane.stop_etcd().unwrap();
    let [from, to] = [from, to].map(|folder| control_plane.dir().join(folder));
    replace(&from, &to).await;
    control_plane.start_etcd().await.unwrap();
    control_plane.start_api_server().await.unwrap();
}

async fn replace(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let mut copy = Command::new("cp");
    copy.arg("-R").args([from, to]);
    assert!(ended(copy).await.status.success(), "etcd's data can be copied");
}

fn calls(env: &TestEnv, request: &Request) -> (usize, usize) {
    (request.calls(&env.sandbox).len(), env.sandbox.effects(request.id))
}

#[tokio::test]
async fn after_an_etcd_restore_only_a_rollback_without_preconditions_is_repeated() {
    let control_plane = ControlPlane::own().await;
    control_plane.apply_crds().await;
    let env = TestEnv::on(control_plane).await;
    let flags = || Flags::default().with("--timeout", "1s");
    let [claimed, bare, guarded] = ["claimed", "bare", "guarded"].map(|name| a_rollback(&env.sandbox, name));
    let restore = a_restore(&env.sandbox, "restore");
    let mut call = env.sandbox.hold(Operation::Rollback, claimed.id, HoldPoint::AfterEffect);
    let mut first = env.start(flags()).await;
    apply(&env, std::slice::from_ref(&claimed)).await;
    call.arrived().await.unwrap();
    first.kill();
    apply(&env, &[bare.clone(), restore.clone()]).await;
    let release = json!({"executables": {"production": 25}});
    env.apply(&guarded.manifest().spec("preconditions", release)).await;
    copy_data(&env.control_plane, "etcd", "backup").await;

    let mut second = env.start(flags()).await;
    for request in [&claimed, &bare, &guarded, &restore] {
        request.succeeds(&env).await;
        assert_eq!(calls(&env, request), (1, 1), "{}", request.name);
    }
    second.kill();
    copy_data(&env.control_plane, "backup", "etcd").await;
    let _third = env.start(flags()).await;

    let end = claimed.succeeds(&env).await;
    assert_eq!(end.operation()["evidence"], "ObservedChange", "{end:#?}");
    guarded.wait_for_reason(&env, "PreconditionFailed").await;
    restore.wait_for_reason(&env, "AlreadyRestored").await;
    bare.succeeds(&env).await;
    assert_eq!(calls(&env, &claimed), (1, 1), "it was verified");
    assert_eq!(calls(&env, &guarded), (1, 1), "it failed before any call");
    assert_eq!(calls(&env, &restore), (2, 1), "it was out of the bin");
    assert_eq!(calls(&env, &bare).0, 2, "no record of the first call is left: the documented limit");
}
