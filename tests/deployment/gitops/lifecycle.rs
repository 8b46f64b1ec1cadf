//! What happens to objects as far as the API server alone is concerned: forced replacement, foreground deletion,
//! pruning, and backups with and without status.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::{Value, json};

use crate::gitops::cases::BOTH;
use crate::tools::{test_env, with_fast_retries};
use cde_harness::{Flags, Kind, Object, Request, TestEnv, from_now};

fn rollback(what: &str) -> Request {
    Request::new(Kind::Rollback, what)
}

fn uid(object: &Object) -> String {
    object.metadata()["uid"].as_str().expect("a uid").to_owned()
}

#[tokio::test]
async fn a_forced_replacement_is_a_new_request_that_preconditions_or_not_after_stop() {
    let (env, _operator) = with_fast_retries().await;
    let [bare, guarded] = ["bare", "guarded"].map(rollback);
    let restore = Request::new(Kind::Restore, "out");
    for request in [&bare, &guarded, &restore] {
        env.sandbox.put(request.ready_connector());
    }
    let release = json!({"executables": {"production": 25}});
    let manifests = [bare.manifest(), guarded.manifest().spec("preconditions", release), restore.manifest()];
    env.apply_all(manifests.clone()).await;
    let mut before = Vec::new();
    for request in [&bare, &guarded, &restore] {
        before.push(uid(&env.wait_for(request, request.success()).await));
    }

    for manifest in &manifests {
        env.kubectl(&["replace", "--force", "-f", "-"], &manifest.yaml()).await;
    }

    let cases =
        [(&bare, "RolledBack", 2), (&guarded, "PreconditionFailed", 1), (&restore, "AlreadyRestored", 2)];
    for ((request, reason, calls), before) in cases.into_iter().zip(before) {
        let object = env.wait_for(request, reason).await;
        assert_ne!(uid(&object), before, "it is another object");
        assert_eq!(env.attempts(request).len(), calls, "{}", request.name);
    }
    assert_eq!(env.sandbox.effects(restore.id), 1, "a restore is idempotent");
}

#[tokio::test]
async fn a_replacement_without_force_keeps_the_object_and_its_record() {
    let (env, _operator) = with_fast_retries().await;
    for kind in BOTH {
        let request = Request::new(kind, "kept");
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
        let done = env.wait_for(&request, request.success()).await;

        env.kubectl(&["replace", "-f", "-"], &request.manifest().spec("suspend", false).yaml()).await;

        env.settle().await;
        let object = env.get(kind, &request.name).await;
        assert_eq!((uid(&object), object.status()), (uid(&done), done.status()));
        assert_eq!(env.attempts(&request).len(), 1);
    }
}

#[tokio::test]
async fn a_foreground_deletion_starts_nothing_and_does_not_wait_for_the_operator() {
    let (env, _operator) = with_fast_retries().await;
    for kind in BOTH {
        let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "2");
        let request = env.request(kind, "waiting", locked);
        env.apply(&request.manifest()).await;
        env.wait_for(&request, "Retrying").await;

        let delete = ["delete", kind.short(), &request.name, "--cascade=foreground", "--wait=false"];
        env.kubectl(&delete, "").await;

        // The garbage collector, which removes this finalizer, does not run here.
        let kept = env.get(kind, &request.name).await;
        assert_eq!(
            kept.metadata()["finalizers"],
            json!(["foregroundDeletion"]),
            "no finalizer of the operator"
        );
        env.settle_after(3).await;
        assert_eq!(env.attempts(&request).len(), 1, "no attempt follows");
        env.patch(&request, json!({"metadata": {"finalizers": null}})).await;
        assert!(env.try_kubectl(&["get", kind.short(), &request.name], "").await.is_err(), "it is deleted");
    }
}

#[tokio::test]
async fn a_pruned_request_is_not_undone_and_a_recreated_one_is_a_new_request() {
    let (env, _operator) = with_fast_retries().await;
    let request = rollback("pruned");
    env.sandbox.put(request.ready_connector());
    env.apply(&request.manifest()).await;
    env.wait_for(&request, "RolledBack").await;

    env.delete(request.kind, &request.name).await;
    env.settle().await;
    assert_eq!((env.attempts(&request).len(), env.sandbox.effects(request.id)), (1, 1));

    env.apply(&request.manifest()).await;
    env.wait_for(&request, "RolledBack").await;
    assert_eq!(env.attempts(&request).len(), 2, "nothing shows that it was done");

    env.delete(request.kind, &request.name).await;
    env.apply(&request.manifest().spec("notAfter", from_now(-2 * 24 * 3600))).await;
    env.wait_for(&request, "Skipped").await;
    assert_eq!(env.attempts(&request).len(), 2, "its time is over");
}

/// Creates an object from a backup, and returns it as it is stored: without a status.
async fn created(env: &TestEnv, request: &Request, object: &Value) -> Value {
    env.kubectl(&["create", "-f", "-"], &object.to_string()).await;
    let stored = env.get(request.kind, &request.name).await;
    assert_eq!(*stored.status(), json!({"observedGeneration": -1}), "a status is not created");
    stored.0
}

/// Returns a finished request of each kind, exported as in a backup and deleted since.
async fn backed_up(env: &TestEnv) -> Vec<(Request, Value)> {
    let mut saved = Vec::new();
    for kind in BOTH {
        let request = Request::new(kind, "saved");
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
        env.wait_for(&request, request.success()).await;
        let text = env.kubectl(&["get", kind.short(), &request.name, "-o", "json"], "").await;
        let mut object: Value = serde_json::from_str(&text).unwrap();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "annotations" | "labels"));
        env.delete(kind, &request.name).await;
        saved.push((request, object));
    }
    saved
}

#[tokio::test]
async fn a_backup_that_is_restored_without_its_status_is_a_new_request() {
    let env = test_env().await;
    let mut first = env.start(Flags::fast_retries()).await;
    let saved = backed_up(&env).await;
    first.kill();
    for (request, object) in &saved {
        created(&env, request, object).await;
    }

    let _second = env.start(Flags::fast_retries()).await;

    for (request, reason) in saved.iter().map(|(it, _)| it).zip(["AlreadyRestored", "RolledBack"]) {
        env.wait_for(request, reason).await;
        assert_eq!(env.attempts(request).len(), 2, "{}", request.name);
    }
}

#[tokio::test]
async fn a_backup_restored_with_its_status_before_the_operator_starts_is_not_repeated() {
    let env = test_env().await;
    let mut first = env.start(Flags::fast_retries()).await;
    let saved = backed_up(&env).await;
    first.kill();
    for (request, object) in &saved {
        let mut stored = created(&env, request, object).await;
        stored["status"] = object["status"].clone();
        env.kubectl(&["replace", "--subresource=status", "-f", "-"], &stored.to_string()).await;
    }

    let _second = env.start(Flags::fast_retries()).await;

    env.settle().await;
    for (request, object) in &saved {
        let stored = env.get(request.kind, &request.name).await;
        assert_eq!(*stored.status(), object["status"], "{}", request.name);
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
    }
}
