//! etcd is restored from a backup: what was done since then is in nobody's record any more.

use std::path::Path;
use std::process::Command;

use cde_sandbox::cde::{HoldPoint, Operation};
use serde_json::json;

use crate::request::{Request, a_restore, a_rollback, apply, ended};
use crate::world::{Flags, Plane, World};

/// Stops the servers, copies etcd's data from one folder to the other, and starts them again.
async fn copy_data(plane: &Plane, from: &str, to: &str) {
    plane.stop_api_server().unwrap();
    plane.stop_etcd().unwrap();
    let [from, to] = [from, to].map(|folder| plane.dir().join(folder));
    replace(&from, &to).await;
    plane.start_etcd().await.unwrap();
    plane.start_api_server().await.unwrap();
}

async fn replace(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let mut copy = Command::new("cp");
    copy.arg("-R").args([from, to]);
    assert!(ended(copy).await.status.success(), "etcd's data can be copied");
}

fn calls(world: &World, request: &Request) -> (usize, usize) {
    (request.calls(&world.sandbox).len(), world.sandbox.effects(request.id))
}

#[tokio::test]
async fn after_etcd_is_restored_a_claim_is_verified_preconditions_hold_and_only_a_bare_one_is_called_again() {
    let plane = Plane::own().await;
    plane.define_kinds().await;
    let world = World::on(plane).await;
    let flags = || Flags::default().with("--timeout", "1s");
    let [claimed, bare, guarded] =
        ["claimed", "bare", "guarded"].map(|name| a_rollback(&world.sandbox, name));
    let restore = a_restore(&world.sandbox, "restore");
    let mut call = world.sandbox.hold(Operation::Rollback, claimed.id, HoldPoint::AfterEffect);
    let mut first = world.start(flags()).await;
    apply(&world, std::slice::from_ref(&claimed)).await;
    call.arrived().await.unwrap();
    first.kill();
    apply(&world, &[bare.clone(), restore.clone()]).await;
    let release = json!({"executables": {"production": 25}});
    world.apply(&guarded.manifest().spec("preconditions", release)).await;
    copy_data(&world.plane, "etcd", "backup").await;

    let mut second = world.start(flags()).await;
    for request in [&claimed, &bare, &guarded, &restore] {
        request.succeeds(&world).await;
        assert_eq!(calls(&world, request), (1, 1), "{}", request.name);
    }
    second.kill();
    copy_data(&world.plane, "backup", "etcd").await;
    let _third = world.start(flags()).await;

    let end = claimed.succeeds(&world).await;
    assert_eq!(end.operation()["evidence"], "ObservedChange", "{end:#?}");
    guarded.reaches(&world, "PreconditionFailed").await;
    restore.reaches(&world, "AlreadyRestored").await;
    bare.succeeds(&world).await;
    assert_eq!(calls(&world, &claimed), (1, 1), "it was verified");
    assert_eq!(calls(&world, &guarded), (1, 1), "it was refused before any call");
    assert_eq!(calls(&world, &restore), (2, 1), "it was out of the bin");
    assert_eq!(calls(&world, &bare).0, 2, "nothing tells that it was done: the limit that is documented");
}
