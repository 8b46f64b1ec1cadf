//! Slow steps: permits of a low rate, and an API server with slow writes.

use std::time::Duration;

use cde_sandbox::cde::{Call, Fault, Operation};
use cde_sandbox::proxy::{Call as ApiCall, Point};
use jiff::SignedDuration;

use super::Switch;
use crate::faults::proxied::{behind_proxy_with, without_retries};
use crate::faults::request::{Request, a_rollback, all_succeed_once, apply, both};
use cde_harness::{Flags, Object, TestEnv};

/// A reading is older than this only if something waited after it. The claim is written meanwhile.
const CLAIM: SignedDuration = SignedDuration::from_millis(750);

/// Fault 46: in the first attempt, and again after an attempt without effect.
#[tokio::test]
async fn a_low_rate_does_not_separate_the_read_of_a_connector_from_its_rollback() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries().with("--rate", "1")).await;
    let requests = ["one", "two", "three"].map(|name| a_rollback(&env.sandbox, name));
    let locked = Fault::on(Operation::Rollback).connector(requests[0].id).answer(423);
    env.sandbox.inject(locked);
    apply(&env, &requests).await;

    all_succeed_once(&env, &requests).await;

    let ledger = env.sandbox.ledger();
    for request in &requests {
        let all: Vec<&Call> = ledger.of(Operation::Any, request.id).collect();
        for (number, call) in all.iter().enumerate().filter(|(_, call)| call.method == "POST") {
            let read = all[number - 1];
            assert_eq!(read.method, "GET", "{ledger}");
            let age = call.at.duration_since(read.at);
            assert!(age < CLAIM, "{}: the reading was {age} old\n{ledger}", request.name);
        }
    }
    let calls = ledger.calls();
    let took = calls.last().unwrap().at.duration_since(calls[0].at);
    // The two calls of one attempt may follow each other at once.
    let least = SignedDuration::from_secs(i64::try_from(calls.len()).unwrap() - 2);
    assert!(took >= least, "{} calls in {took}: more than one a second\n{ledger}", calls.len());
}

fn is_claim(call: &ApiCall) -> bool {
    !call.json()["status"]["operation"]["inFlight"].is_null()
}

/// Fault 53: a claim may be late by five seconds.
#[tokio::test]
async fn claims_that_are_stored_too_late_are_released_and_retried_with_backoff() {
    let (env, proxy, _operator) = behind_proxy_with(without_retries().with("--timeout", "1s")).await;
    let slow = Switch::on();
    let requests = both(&env.sandbox, "late");
    let claims = |request: &Request| request.status_writes().and("a claim", is_claim);
    for request in &requests {
        let delay = Duration::from_millis(5500);
        proxy.delay(slow.guard(claims(request)), Point::BeforeReply, delay);
    }
    apply(&env, &requests).await;

    for request in &requests {
        let waits = |object: &Object| {
            object.operation()["inFlight"].is_null() && object.operation()["nextAttemptTime"].is_string()
        };
        let waiting =
            env.wait_until(request.kind, &request.name, "waiting for its next attempt", waits).await;
        assert_eq!(waiting.attempts(), 1, "{waiting:#?}");
    }
    env.flush_events().await;
    for request in &requests {
        assert_eq!(proxy.count(&claims(request)), 1, "no claim follows at once");
        assert_eq!(request.calls(&env.sandbox).len(), 0, "{}", env.sandbox.ledger());
    }

    slow.turn_off();
    for request in &requests {
        request.ask_again(&env, 0).await;
        let end = request.succeeds(&env).await;
        assert_eq!(end.operation()["unknownAttempts"].as_u64().unwrap_or_default(), 0, "{end:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", env.sandbox.ledger());
    }
}
