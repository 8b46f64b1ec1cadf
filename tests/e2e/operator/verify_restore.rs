//! Verification of a restore whose response was lost, or said that there is nothing to restore.

use cde_sandbox::cde::{Fault, HoldPoint, Operation, Version};
use serde_json::json;

use cde_harness::{Kind, Request, TestEnv};

fn request(what: &str) -> Request {
    Request::new(Kind::Restore, what)
}

fn restoring(request: &Request) -> Fault {
    Fault::on(Operation::Restore).connector(request.id)
}

fn looking(request: &Request) -> Fault {
    Fault::on(Operation::Read).connector(request.id)
}

#[tokio::test]
async fn a_connector_that_is_still_in_the_bin_or_hidden_is_retried() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [hidden, shown, denied] = ["hidden-in-bin", "shown-in-bin", "denied"].map(request);
    env.sandbox.put(hidden.ready_connector());
    env.sandbox.put(shown.ready_connector().readable_in_bin());
    env.sandbox.put(denied.ready_connector().reading_forbidden());
    for request in [&hidden, &shown, &denied] {
        env.sandbox.inject(restoring(request).answer(500));
    }
    env.apply_all([&hidden, &shown, &denied].map(Request::manifest)).await;

    for request in [&hidden, &shown, &denied] {
        let done = env.wait_for(request, "Restored").await;
        assert_eq!(
            (done.attempts(), &done.operation()["evidence"]),
            (2, &json!("Response")),
            "{}",
            request.name
        );
        assert_eq!(done.operation()["unknownAttempts"], 1, "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_connector_with_deleted_versions_is_not_live_and_is_retried() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("half-live");
    env.sandbox.put(request.ready_connector().version(Version::new("2.0.0")).readable_in_bin());
    env.sandbox.inject(restoring(&request).answer(500));
    env.sandbox.inject(looking(&request).set("/data/versions/0/deleted-at", json!(null)));
    env.apply(&request.manifest()).await;

    let done = env.wait_for(&request, "Restored").await;

    assert_eq!((done.attempts(), env.sandbox.effects(request.id)), (2, 1));
}

/// Fault 27: 404 after a success.
#[tokio::test]
async fn a_404_after_a_lost_attempt_on_a_live_connector_is_a_success() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("lost");
    env.sandbox.put(request.ready_connector());
    env.sandbox.inject(restoring(&request).answer(500).after_effect());
    // The read after it is refused, so the next attempt decides.
    env.sandbox.inject(looking(&request).answer(403));
    env.apply(&request.manifest()).await;

    let done = env.wait_for(&request, "Restored").await;

    assert_eq!((done.attempts(), &done.operation()["evidence"]), (2, &json!("ObservedLive")));
    assert_eq!(env.sandbox.effects(request.id), 1);
    assert_eq!(env.attempts(&request).len(), 2);
}

/// Fault 27: 404 after a success.
#[tokio::test]
async fn a_404_after_a_lost_attempt_is_unknown_if_reading_is_refused() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("unseen");
    env.sandbox.put(request.ready_connector().reading_forbidden());
    env.sandbox.inject(restoring(&request).answer(500).after_effect());
    env.apply(&request.manifest()).await;

    let failed = env.wait_for(&request, "OutcomeUnknown").await;

    assert_eq!(failed.last_error()["code"], 404);
    assert_eq!(env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn a_404_for_a_connector_in_the_bin_is_retried() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("contradicted");
    env.sandbox.put(request.ready_connector().readable_in_bin());
    env.sandbox.inject(restoring(&request).answer(404));
    env.apply(&request.manifest()).await;

    let done = env.wait_for(&request, "Restored").await;

    assert_eq!((done.attempts(), &done.operation()["evidence"]), (2, &json!("Response")));
    assert_eq!(done.last_error()["reason"], json!(null));
    assert_eq!(env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn the_read_after_a_404_is_repeated_until_it_succeeds() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [live, unknown] = ["live", "unknown"].map(request);
    let mut connector = live.ready_connector();
    connector.in_bin = false;
    env.sandbox.put(connector);
    for request in [&live, &unknown] {
        env.sandbox.inject(looking(request).answer(500).times(2));
    }
    env.apply_all([&live, &unknown].map(Request::manifest)).await;

    let done = env.wait_for(&live, "AlreadyRestored").await;
    let failed = env.wait_for(&unknown, "NotFound").await;

    assert_eq!(done.operation()["evidence"], "ObservedLive");
    assert_eq!(failed.last_error()["code"], 404);
    for request in [&live, &unknown] {
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
        assert_eq!(env.sandbox.calls(Operation::Read, request.id).len(), 3, "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 0, "{}", request.name);
    }
}

#[tokio::test]
async fn a_connector_that_someone_else_restores_after_a_lost_attempt_is_restored() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("helped");
    env.sandbox.put(request.ready_connector());
    env.sandbox.inject(restoring(&request).answer(500));
    let mut held = env.sandbox.hold(Operation::Restore, request.id, HoldPoint::BeforeEffect);
    env.apply(&request.manifest()).await;
    held.arrived().await.expect("an attempt");
    let mut connector = env.sandbox.get(request.id).expect("the connector");
    connector.in_bin = false;
    connector.versions[0].deleted_at = None;
    env.sandbox.put(connector);
    held.release();

    let done = env.wait_for(&request, "Restored").await;

    assert_eq!((done.attempts(), &done.operation()["evidence"]), (1, &json!("ObservedLive")));
    assert_eq!(env.sandbox.effects(request.id), 0);
}
