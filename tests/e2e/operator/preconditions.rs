//! `spec.preconditions`: a manifest cannot affect a release that it was not written for.

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use serde_json::{Value, json};

use cde_harness::{Kind, Request, TestEnv};

fn request(what: &str) -> Request {
    Request::new(Kind::Rollback, what)
}

#[tokio::test]
async fn a_rollback_is_called_if_all_preconditions_hold() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let cases = [
        ("state", json!({"state": "synchronized-to-prod"})),
        ("legacy", json!({"executables": {"legacy": 24}})),
        ("production", json!({"executables": {"production": 25}})),
        (
            "all",
            json!({
                "state": "synchronized-to-prod",
                "executables": {"legacy": 24, "production": 25, "development": 26},
            }),
        ),
    ];
    let cases = cases.map(|(what, wanted)| (request(what), wanted));
    for (request, _) in &cases {
        let mut connector = request.ready_connector();
        connector.versions[0].development = Some(26);
        env.sandbox.put(connector);
    }
    env.apply_all(cases.iter().map(|(it, wanted)| it.manifest().spec("preconditions", wanted.clone()))).await;

    for (request, _) in &cases {
        env.wait_for(request, "RolledBack").await;
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_rollback_fails_before_the_call_if_a_precondition_does_not_hold() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let cases = [
        ("state", json!({"state": "built"}), "state is synchronized-to-prod, not built"),
        ("legacy", json!({"executables": {"legacy": 1}}), "the legacy executable is 24, not 1"),
        (
            "production",
            json!({"state": "synchronized-to-prod", "executables": {"legacy": 24, "production": 2}}),
            "the production executable is 25, not 2",
        ),
        (
            "development",
            json!({"executables": {"development": 3}}),
            "the development executable is absent, not 3",
        ),
    ];
    let cases = cases.map(|(what, wanted, words)| (request(what), wanted, words));
    for (request, ..) in &cases {
        env.sandbox.put(request.ready_connector());
    }
    env.apply_all(cases.iter().map(|(it, wanted, _)| it.manifest().spec("preconditions", wanted.clone())))
        .await;

    for (request, _, words) in &cases {
        let failed = env.wait_for(request, "PreconditionFailed").await;
        assert!(failed.message().contains(words), "{}", failed.message());
        assert_eq!(failed.attempts(), 0, "{}", request.name);
        assert_eq!(failed.status()["executables"]["production"], 25, "the observed values: {}", request.name);
    }
    env.settle().await;
    for (request, ..) in &cases {
        assert_eq!(env.attempts(request).len(), 0, "{}", request.name);
        let told = env.events(&request.name).await;
        assert_eq!((told.len(), told[0].1.as_str()), (1, "PreconditionFailed"), "{told:?}");
    }
}

#[tokio::test]
async fn preconditions_must_hold_before_every_attempt() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("overtaken");
    env.sandbox.put(request.ready_connector());
    env.sandbox.inject(Fault::on(Operation::Rollback).connector(request.id).answer(423));
    let mut held = env.sandbox.hold(Operation::Rollback, request.id, HoldPoint::BeforeEffect);
    let manifest = request.manifest().spec("preconditions", json!({"executables": {"production": 25}}));
    env.apply(&manifest).await;
    held.arrived().await.expect("an attempt");
    let mut connector = env.sandbox.get(request.id).expect("the connector");
    connector.versions[0].production = Some(99);
    env.sandbox.put(connector);
    held.release();

    let failed = env.wait_for(&request, "PreconditionFailed").await;

    assert_eq!((failed.attempts(), &failed.last_error()["code"]), (1, &json!(423)));
    assert_eq!(env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn preconditions_fail_if_reading_is_refused() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [hidden, unknown] = ["hidden", "unknown"].map(request);
    env.sandbox.put(hidden.ready_connector().reading_forbidden());
    let wanted = json!({"state": "synchronized-to-prod"});
    env.apply_all([&hidden, &unknown].map(|it| it.manifest().spec("preconditions", wanted.clone()))).await;

    for request in [&hidden, &unknown] {
        let failed = env.wait_for(request, "PreconditionFailed").await;
        assert!(failed.message().contains("cannot be checked"), "{}", failed.message());
        assert_eq!(failed.status()["resolvedVersion"], Value::Null);
        assert_eq!(env.attempts(request).len(), 0);
    }
}
