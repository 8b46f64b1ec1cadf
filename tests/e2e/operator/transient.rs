//! Transient errors: the request waits, says why, and continues.

use cde_sandbox::cde::{CutPoint, Fault, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use cde_harness::{Flags, Kind, TestEnv};

fn changing() -> Fault {
    Fault::on(Operation::Changing)
}

/// Faults 26 and 28.
#[tokio::test]
async fn an_error_without_effect_is_retried_without_verification() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let transition = "Transition is not allowed, entity is resynchronizing-to-prod.";
    let check = "check --url and all proxies in between";
    let answers = [
        ("423", changing().answer(423), 423, "Locked"),
        ("425", changing().answer(425), 425, "Too Early"),
        ("transition", changing().answer(400).set("/message", json!(transition)), 400, transition),
        (
            "transition-and-fields",
            changing()
                .answer(400)
                .set("/message", json!(transition))
                .set("/errors", json!({"state": "resynchronizing"})),
            400,
            transition,
        ),
        (
            "transition-and-nulls",
            changing().answer(400).set("/message", json!(transition)).set("/errors", json!(null)),
            400,
            transition,
        ),
        ("null-400", changing().answer(400).set("/message", json!(null)), 400, check),
        ("html-403", changing().answer(403).html(), 403, check),
        ("html-404", changing().answer(404).html(), 404, check),
        ("silent-400", changing().answer(400).empty(), 400, check),
        ("odd-405", changing().answer(405).body(r#"{"error": "no"}"#), 405, check),
    ];
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        for (what, fault, code, message) in answers.clone() {
            cases.push((env.request(kind, what, fault), code, message));
        }
    }
    env.apply_all(cases.iter().map(|(case, ..)| case.manifest())).await;

    for (case, code, message) in &cases {
        let done = env.wait_for(case, case.success()).await;
        let error = done.last_error();
        assert_eq!(error["code"], *code, "{}", case.name);
        assert_eq!(error["reason"], Value::Null, "{}", case.name);
        assert!(error["message"].as_str().is_some_and(|text| text.contains(message)), "{done:#?}");
        assert_eq!((done.attempts(), &done.operation()["backoffStep"]), (2, &json!(1)), "{}", case.name);
        assert_eq!(done.operation()["unknownAttempts"], Value::Null, "{}", case.name);
        assert_eq!(done.operation()["evidence"], "Response", "{}", case.name);
        assert_eq!(env.sandbox.effects(case.id), 1, "{}", case.name);
        let reads = env.sandbox.calls(Operation::Read, case.id).len();
        assert_eq!(reads, if case.kind == Kind::Rollback { 2 } else { 0 }, "{}", case.name);
        let told: Vec<String> =
            env.until_events(&case.name, 2).await.into_iter().map(|(_, reason, _)| reason).collect();
        assert_eq!(told, ["Retrying", case.success()], "{}", case.name);
    }
}

/// Faults 28 and 29.
#[tokio::test]
async fn an_error_with_unknown_effect_is_verified_before_the_next_attempt() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let other = changing().redirect("http://127.0.0.1:9/elsewhere");
    let answers = [
        ("409", changing().answer(409), 409),
        ("500", changing().answer(500), 500),
        ("501", changing().answer(501).html(), 501),
        ("503", changing().answer(503), 503),
        ("520", changing().answer(520).empty(), 520),
        ("307", other.clone(), 307),
        ("302", other.answer(302), 302),
    ];
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        for (what, fault, code) in answers.clone() {
            cases.push((env.request(kind, &format!("{what}-none"), fault.clone()), code, 2));
            cases.push((env.request(kind, &format!("{what}-done"), fault.after_effect()), code, 1));
        }
    }
    env.apply_all(cases.iter().map(|(case, ..)| case.manifest())).await;

    for (case, code, attempts) in &cases {
        let done = env.wait_for(case, case.success()).await;
        assert_eq!(done.last_error()["code"], *code, "{}", case.name);
        assert_eq!(done.attempts(), *attempts, "{}", case.name);
        assert_eq!(done.operation()["unknownAttempts"], 1, "{}", case.name);
        let evidence = if *attempts == 2 { "Response" } else { case.observed() };
        assert_eq!(done.operation()["evidence"], evidence, "{}", case.name);
        assert_eq!(env.sandbox.effects(case.id), 1, "{}", case.name);
        assert_eq!(env.attempts(case).len() as u64, *attempts, "{}", case.name);
    }
}

/// Faults 23, 24 and 28.
#[tokio::test]
async fn after_a_timeout_or_gateway_error_the_claim_ends_before_the_verification() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries().with("--timeout", "1s")).await;
    let answers = [
        ("408", changing().answer(408)),
        ("502", changing().answer(502).html()),
        ("504", changing().answer(504).html()),
        ("cut", changing().cut(CutPoint::BeforeHeaders)),
        ("hung", changing().hang()),
    ];
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        for (what, fault) in answers.clone() {
            cases.push((env.request(kind, &format!("{what}-none"), fault.clone()), 2));
            cases.push((env.request(kind, &format!("{what}-done"), fault.after_effect()), 1));
        }
    }
    env.apply_all(cases.iter().map(|(case, ..)| case.manifest())).await;

    for (case, attempts) in &cases {
        let done = env.wait_for(case, case.success()).await;
        assert_eq!(done.operation()["unknownAttempts"], 1, "{}", case.name);
        assert_eq!(env.sandbox.effects(case.id), 1, "{}", case.name);
        // A claim may have been released meanwhile, because so many failures in a row look like an outage.
        assert_eq!(env.attempts(case).len(), *attempts, "{}", case.name);
        let calls = env.sandbox.calls(Operation::Any, case.id);
        let lost = calls.iter().position(|call| call.operation != Some(Operation::Read)).expect("an attempt");
        let pause = calls[lost + 1].at.duration_since(calls[lost].at);
        // `--timeout` plus 5 s from the claim, which came a little before the call. A backoff ends within 2 s.
        assert!(pause > SignedDuration::from_secs(3), "{} was read after {pause}", case.name);
    }
}

/// Fault 31.
#[tokio::test]
async fn a_refused_connection_had_no_effect_and_is_retried() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let case = env.request(Kind::Restore, "refused", changing().times(0));
    env.sandbox.down().await;
    env.apply(&case.manifest()).await;
    let waiting = env.wait_for(&case, "Retrying").await;
    assert_eq!(waiting.last_error()["code"], Value::Null);
    assert_eq!(waiting.operation()["unknownAttempts"], Value::Null);

    env.sandbox.up().await.expect("it comes back");

    let done = env.wait_for(&case, "Restored").await;
    assert!(done.attempts() > 1);
    assert_eq!(env.sandbox.effects(case.id), 1);
    assert_eq!(env.sandbox.calls(Operation::Any, case.id).len(), 1, "no verification is needed");
}

/// Fault 28.
#[tokio::test]
async fn no_attempt_comes_earlier_than_the_response_asks_for() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let reset = Timestamp::now() + SignedDuration::from_secs(4);
    let unix = changing().answer(423).header("ratelimit-reset", reset.as_second().to_string());
    let unix = env.request(Kind::Restore, "unix", unix);
    let seconds = changing().answer(423).header("retry-after", "2");
    let seconds = env.request(Kind::Rollback, "seconds", seconds);
    env.apply_all([unix.manifest(), seconds.manifest()]).await;

    for request in [&unix, &seconds] {
        env.wait_for(request, request.success()).await;
        let calls = env.attempts(request);
        let earliest = match request.kind {
            Kind::Restore => Timestamp::from_second(reset.as_second()).expect("a time"),
            Kind::Rollback => calls[0].at + SignedDuration::from_secs(2),
        };
        assert!(calls[1].at >= earliest, "{}: {} is before {earliest}", request.name, calls[1].at);
    }
}

/// Fault 28.
#[tokio::test]
async fn a_rate_limit_without_a_time_is_waited_out_and_the_next_attempt_succeeds() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let case = env.request(Kind::Rollback, "limited", changing().answer(429));
    env.apply(&case.manifest()).await;

    let done = env.wait_for(&case, "RolledBack").await;

    assert_eq!(done.last_error()["code"], 429);
    assert_eq!(done.attempts(), 2);
    assert_eq!(env.sandbox.effects(case.id), 1);
}

#[tokio::test]
async fn the_status_of_a_waiting_request_says_why_and_until_when() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let locked = changing().answer(423).header("retry-after", "600");
    let case = env.request(Kind::Rollback, "waits", locked);
    env.apply(&case.manifest()).await;

    let waiting = env.wait_for(&case, "Retrying").await;

    assert_eq!(waiting.message(), "Waiting before the next attempt: the CDE API answered 423: Locked");
    assert_eq!((waiting.attempts(), &waiting.operation()["backoffStep"]), (1, &json!(1)));
    let time = |field: &str| -> Timestamp {
        waiting.operation()[field].as_str().expect("a time").parse().expect("RFC 3339")
    };
    let pause = time("nextAttemptTime").duration_since(time("lastAttemptTime"));
    assert!((600..=602).contains(&pause.as_secs()), "{pause}");
    assert_eq!(waiting.status()["before"]["executables"]["production"], 25);
    let told = env.until_events(&case.name, 1).await;
    assert_eq!(told, [("Warning".to_owned(), "Retrying".to_owned(), waiting.message().to_owned())]);
}
