//! Verification of a rollback whose response was lost.

use cde_sandbox::cde::{
    Connector, Fault, HoldPoint, Operation, RepeatedRollback, RollbackEffect, Version, new_id,
};
use serde_json::{Value, json};

use cde_harness::{Kind, Object, Request, TestEnv};

fn request(what: &str) -> Request {
    Request::new(Kind::Rollback, what)
}

/// Loses the response to the request's next attempt, after its effect.
fn lose_answer(env: &TestEnv, request: &Request) {
    env.sandbox.inject(Fault::on(Operation::Rollback).connector(request.id).answer(500).after_effect());
}

/// Loses the request's next attempt, before it has an effect.
fn lose_call(env: &TestEnv, request: &Request) {
    env.sandbox.inject(Fault::on(Operation::Rollback).connector(request.id).answer(500));
}

/// Returns a fault of the read after the first attempt, and not of the one before it.
fn look(request: &Request) -> Fault {
    Fault::on(Operation::Read).connector(request.id).skip(1)
}

/// Applies `change` to the connector between an attempt, whose response is lost, and its verification.
async fn change_meanwhile(env: &TestEnv, request: &Request, change: impl FnOnce(&mut Connector)) {
    let mut held = env.sandbox.hold(Operation::Rollback, request.id, HoldPoint::AfterEffect);
    env.apply(&request.manifest()).await;
    held.arrived().await.expect("an attempt");
    let mut connector = env.sandbox.get(request.id).expect("the connector");
    change(&mut connector);
    env.sandbox.put(connector);
    held.release();
}

#[tokio::test]
async fn a_change_of_the_production_or_legacy_executable_counts_as_the_effect() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [swap, null] = ["swap", "to-null"].map(request);
    let [connector, production, legacy] = ["platform-connector", "stopped", "legacy"].map(request);
    env.sandbox.put(swap.ready_connector());
    env.sandbox.put(null.ready_connector().on_rollback(RollbackEffect::ToLegacy));
    for request in [&connector, &production, &legacy] {
        env.sandbox.put(request.ready_connector());
        lose_call(&env, request);
    }
    for request in [&swap, &null] {
        lose_answer(&env, request);
    }
    env.apply_all([swap.manifest(), null.manifest()]).await;
    let moved = |connector: &mut Connector| connector.versions[0].production_platform_connector = Some(6);
    change_meanwhile(&env, &connector, moved).await;
    let stopped = |connector: &mut Connector| connector.versions[0].production = None;
    change_meanwhile(&env, &production, stopped).await;
    let another = |connector: &mut Connector| connector.versions[0].legacy = Some(7);
    change_meanwhile(&env, &legacy, another).await;

    for request in [swap, null, connector, production, legacy] {
        let done = env.wait_for(&request, "RolledBack").await;
        assert_eq!(done.operation()["evidence"], "ObservedChange", "{}", request.name);
        assert_eq!(done.operation()["unknownAttempts"], 1, "{}", request.name);
        assert_eq!(done.last_error()["code"], 500, "the error is kept: {}", request.name);
        let before = json!({"legacy": 24, "production": 25});
        assert_eq!(done.status()["before"]["executables"], before, "{}", request.name);
        let now = env.sandbox.get(request.id).expect("the connector").versions[0].clone();
        assert_eq!(done.status()["executables"]["production"], json!(now.production), "{}", request.name);
        assert_eq!(done.status()["executables"]["legacy"], json!(now.legacy), "{}", request.name);
        assert_eq!(env.attempts(&request).len(), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_change_in_development_only_does_not_count_and_the_next_attempt_follows() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("developed");
    env.sandbox.put(request.ready_connector());
    lose_call(&env, &request);
    change_meanwhile(&env, &request, |connector| {
        let version = &mut connector.versions[0];
        version.development = Some(99);
        version.development_platform_connector = Some(98);
        version.updated_at += jiff::SignedDuration::from_secs(60);
    })
    .await;

    let done = env.wait_for(&request, "RolledBack").await;

    assert_eq!((done.attempts(), &done.operation()["evidence"]), (2, &json!("Response")));
    assert_eq!(env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn every_verification_compares_with_the_read_before_the_first_lost_attempt() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("twice");
    env.sandbox.put(request.ready_connector());
    lose_call(&env, &request);
    lose_answer(&env, &request);
    change_meanwhile(&env, &request, |connector| connector.versions[0].development = Some(99)).await;

    let done = env.wait_for(&request, "RolledBack").await;

    assert_eq!(done.status()["before"]["executables"], json!({"legacy": 24, "production": 25}));
    assert_eq!((done.attempts(), &done.operation()["unknownAttempts"]), (2, &json!(2)));
    assert_eq!(done.operation()["evidence"], "ObservedChange");
    assert_eq!(env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn verification_waits_until_the_connector_is_no_longer_in_transition() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = request("moves");
    env.sandbox.put(request.ready_connector().on_rollback(RollbackEffect::Moving));
    lose_answer(&env, &request);
    env.apply(&request.manifest()).await;
    let moving = |object: &Object| object.message().contains("resynchronizing-to-prod");
    let waiting = env.wait_until(request.kind, &request.name, "waiting for the connector", moving).await;
    assert_eq!(waiting.reason(), "Verifying");
    waiting.assert_contract();
    env.settle().await;
    assert_eq!(env.attempts(&request).len(), 1);

    env.sandbox.settle(request.id);

    let done = env.wait_for(&request, "RolledBack").await;
    assert_eq!(done.operation()["evidence"], "ObservedChange");
    assert_eq!(env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn an_inconclusive_verification_ends_as_unknown_without_another_call() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let names = ["state-only", "gone", "other", "denied", "not-found", "never-seen"];
    let [state_only, gone, other, denied, not_found, never_seen] = names.map(request);
    env.sandbox.put(state_only.ready_connector().on_rollback(RollbackEffect::StateOnly));
    env.sandbox.put(never_seen.ready_connector().reading_forbidden());
    for request in [&gone, &other, &denied, &not_found] {
        env.sandbox.put(request.ready_connector());
    }
    for request in [&state_only, &gone, &other, &denied, &not_found, &never_seen] {
        lose_answer(&env, request);
    }
    env.sandbox.inject(look(&denied).answer(403).always());
    env.sandbox.inject(look(&not_found).answer(404).always());
    change_meanwhile(&env, &gone, |connector| connector.versions.clear()).await;
    let newer = Version::new("1.1.0").state("synchronized-to-prod").production(25, 5).legacy(24);
    change_meanwhile(&env, &other, |connector| connector.versions.push(newer)).await;
    env.apply_all([&state_only, &denied, &not_found, &never_seen].map(Request::manifest)).await;

    let cases = [
        (&state_only, "from synchronized-to-prod to synchronized-to-dev"),
        (&gone, "the version no longer exists"),
        (&other, "another version"),
        (&denied, "reading the connector is refused"),
        (&not_found, "reading the connector is refused"),
        (&never_seen, "reading the connector is refused"),
    ];
    for (request, words) in cases {
        let failed = env.wait_for(request, "OutcomeUnknown").await;
        assert!(failed.message().contains(words), "{}: {}", request.name, failed.message());
        assert!(failed.message().contains("cde.productsup.com/retry"), "{}", failed.message());
        assert_eq!(failed.last_error()["code"], 500, "{}", request.name);
    }
    env.settle().await;
    for (request, _) in cases {
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
        let told = env.events(&request.name).await;
        let (last, first) = told.split_last().expect("an Event");
        assert_eq!((last.0.as_str(), last.1.as_str()), ("Warning", "OutcomeUnknown"), "{told:?}");
        assert!(first.iter().all(|event| event.1 == "Verifying") && first.len() <= 1, "{told:?}");
    }
}

#[tokio::test]
async fn a_failed_or_incomplete_read_is_repeated_and_the_first_error_is_kept() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let elsewhere = json!(new_id());
    let version = "/data/versions/0";
    let cases = [
        ("500", "the CDE API answered 500"),
        ("html-403", "check --url"),
        ("half", "cannot be read"),
        ("other-id", "not about this connector"),
        ("no-state", "lacks state"),
        ("no-production", "lacks platform_prod_reference.executable"),
        ("odd-legacy", "lacks config.migration.legacy-executable"),
    ];
    let cases = cases.map(|(what, words)| (request(what), words));
    for (request, _) in &cases {
        env.sandbox.put(request.ready_connector());
        lose_call(&env, request);
        let look = look(request).always();
        env.sandbox.inject(match request.name.trim_start_matches("mrb-") {
            "500" => look.answer(500),
            "html-403" => look.answer(403).html(),
            "half" => look.truncated_json(),
            "other-id" => look.set("/data/id", elsewhere.clone()),
            "no-state" => look.without(format!("{version}/state")),
            "no-production" => look.without(format!("{version}/platform_prod_reference/executable")),
            _ => look.set(format!("{version}/config/migration/legacy-executable"), json!("24")),
        });
    }
    env.apply_all(cases.iter().map(|(request, _)| request.manifest())).await;

    for (request, words) in &cases {
        let waits = |object: &Object| object.reason() == "Verifying" && object.message().contains(words);
        let waiting = env.wait_until(request.kind, &request.name, words, waits).await;
        waiting.assert_contract();
        assert_eq!(waiting.last_error()["message"], "Internal Server Error", "{}", request.name);
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
    }
    env.sandbox.clear_faults();
    for (request, _) in &cases {
        let done = env.wait_for(request, "RolledBack").await;
        assert_eq!((done.attempts(), &done.last_error()["code"]), (2, &json!(500)), "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_refusal_after_a_lost_attempt_succeeds_only_if_the_effect_is_visible() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [shows, hides] = ["shows", "hides"].map(request);
    // The first attempt has an effect that no read shows, and the second one is refused.
    let unseen = |request: &Request| {
        let connector = request.ready_connector().on_rollback(RollbackEffect::Invisible);
        connector.on_repeated_rollback(RepeatedRollback::Refused)
    };
    for request in [&shows, &hides] {
        env.sandbox.put(unseen(request));
        lose_answer(&env, request);
    }
    // Between the two attempts of this request, the effect becomes visible.
    let late = Fault::on(Operation::Rollback).connector(shows.id).skip(1).answer(400).after_effect();
    env.sandbox.inject(late.set("/message", json!("No.")));
    let hold = || env.sandbox.hold(Operation::Rollback, shows.id, HoldPoint::BeforeEffect);
    let (mut first, mut second) = (hold(), hold());
    env.apply_all([shows.manifest(), hides.manifest()]).await;
    first.arrived().await.expect("an attempt");
    first.release();
    second.arrived().await.expect("another attempt");
    let mut connector = env.sandbox.get(shows.id).expect("the connector");
    (connector.versions[0].production, connector.versions[0].legacy) = (Some(24), Some(25));
    env.sandbox.put(connector);
    second.release();

    let done = env.wait_for(&shows, "RolledBack").await;
    assert_eq!((done.attempts(), &done.operation()["evidence"]), (2, &json!("ObservedChange")));
    let failed = env.wait_for(&hides, "OutcomeUnknown").await;
    assert_eq!((failed.attempts(), &failed.operation()["evidence"]), (2, &Value::Null));
    assert_eq!(failed.last_error()["code"], 400);
    env.settle().await;
    assert_eq!((env.attempts(&shows).len(), env.attempts(&hides).len()), (2, 2));
    assert_eq!((env.sandbox.effects(shows.id), env.sandbox.effects(hides.id)), (1, 1));
}
