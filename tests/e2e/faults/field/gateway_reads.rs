//! A gateway refuses reads of a connector in JSON with its own message. Decisions that need a read wait for one.

use cde_sandbox::cde::{Connector, Fault, HoldPoint, Operation};
use serde_json::json;

use super::gateway::{doubting, says};
use crate::faults::request::{Request, apply, both};
use cde_harness::{Kind, TestEnv, restore, rollback};

/// Messages of gateways where a route is missing or a rule forbids it.
const REFUSALS: [(u16, &str); 2] = [(404, "no Route matched with those values"), (403, "Forbidden")];

/// Fault 43: on the read before the call, with and without `preconditions`.
#[tokio::test]
async fn a_gateway_that_refuses_the_read_before_a_rollback_only_delays_it() {
    let env = TestEnv::new().await;
    let _operator = env.start(doubting()).await;
    let mut cases = Vec::new();
    for (code, message) in REFUSALS {
        for word in ["main", "latest", "1"] {
            for guarded in [false, true] {
                let [request, _] = both(&env.sandbox, &format!("{word}-{code}-{guarded}"));
                let fault = says(Operation::Read, code, message).connector(request.id);
                env.sandbox.inject(fault.times(3));
                let mut manifest = rollback(&request.name, request.id, word);
                if guarded {
                    manifest = manifest.spec("preconditions", json!({"executables": {"production": 25}}));
                }
                env.apply(&manifest).await;
                cases.push(request);
            }
        }
    }

    for request in &cases {
        let end = request.succeeds(&env).await;
        assert_eq!(end.status()["before"]["executables"]["production"], 25, "{end:#?}");
        assert_eq!(end.status()["resolvedVersion"]["major"], 1, "{end:#?}");
        let calls = request.calls(&env.sandbox);
        assert_eq!((calls.len(), calls[0].version.as_deref()), (1, Some("1")), "{}", request.name);
        assert_eq!(request.reads(&env.sandbox), 4, "{}", request.name);
    }
}

/// Returns requests of both kinds for each refusal of the next three reads, after `answer` was given to the first
/// call.
async fn verified(env: &TestEnv, name: &str, answer: impl Fn() -> Fault) -> Vec<Request> {
    let mut all = Vec::new();
    for (code, message) in REFUSALS {
        for request in both(&env.sandbox, &format!("{name}-{code}")) {
            env.sandbox.inject(answer().connector(request.id));
            // A rollback is also read before its call.
            let before = u32::from(request.kind == Kind::Rollback);
            let reads = says(Operation::Read, code, message).connector(request.id);
            env.sandbox.inject(reads.skip(before).times(3));
            all.push(request);
        }
    }
    apply(env, &all).await;
    all
}

/// Fault 43: while verifying.
#[tokio::test]
async fn a_gateway_that_refuses_the_verification_read_does_not_end_the_request() {
    let env = TestEnv::new().await;
    let _operator = env.start(doubting()).await;
    let lost = || Fault::on(Operation::Changing).answer(500);
    let done = verified(&env, "done", || lost().after_effect()).await;
    let undone = verified(&env, "undone", lost).await;

    for request in &done {
        let end = request.succeeds(&env).await;
        assert_eq!(end.operation()["evidence"], request.observation(), "{end:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", env.sandbox.ledger());
    }
    for request in &undone {
        request.succeeds(&env).await;
        let [first, second] = request.calls(&env.sandbox).try_into().unwrap();
        let between = |sequence| (first.sequence..second.sequence).contains(&sequence);
        let reads = env.sandbox.calls(Operation::Read, request.id);
        let looked = reads.iter().filter(|read| between(read.sequence)).count();
        assert!(looked >= 4, "the second call came before a successful read");
    }
    for request in done.iter().chain(&undone) {
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", env.sandbox.ledger());
    }
}

/// Fault 43: on the read of a connector whose restore got a 404.
#[tokio::test]
async fn a_gateway_that_refuses_the_read_after_a_404_does_not_hide_a_live_connector() {
    let env = TestEnv::new().await;
    let _operator = env.start(doubting()).await;
    let mut live = Vec::new();
    for (code, message) in REFUSALS {
        let [_, request] = both(&env.sandbox, &format!("live-{code}"));
        env.sandbox.put(Connector::migrated(request.id));
        env.sandbox.inject(says(Operation::Read, code, message).connector(request.id).times(3));
        env.apply(&restore(&request.name, request.id)).await;
        live.push(request);
    }

    for request in &live {
        let end = request.wait_for_reason(&env, "AlreadyRestored").await;
        assert_eq!(end.operation()["evidence"], "ObservedLive", "{end:#?}");
    }
}

/// Fault 43: on the last verification, after an unknown attempt and then a final refusal.
#[tokio::test]
async fn a_gateway_that_refuses_the_last_read_does_not_make_the_outcome_unknown() {
    let env = TestEnv::new().await;
    let _operator = env.start(doubting()).await;
    for (code, message) in REFUSALS {
        for request in both(&env.sandbox, &format!("last-{code}")) {
            let (refused, words) = match request.kind {
                Kind::Rollback => (
                    400,
                    "Operation is only allowed for connectors that were previously synchronized to production",
                ),
                Kind::Restore => (404, "Connector not found."),
            };
            let sandbox = &env.sandbox;
            sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(500));
            sandbox.inject(says(Operation::Changing, refused, words).connector(request.id).after_effect());
            let mut first = sandbox.hold(Operation::Changing, request.id, HoldPoint::AfterEffect);
            apply(&env, std::slice::from_ref(&request)).await;
            first.arrived().await.unwrap();
            let mut second = sandbox.hold(Operation::Changing, request.id, HoldPoint::AfterEffect);
            first.release();
            second.arrived().await.unwrap();
            sandbox.inject(says(Operation::Read, code, message).connector(request.id).times(3));
            second.release();

            let end = request.succeeds(&env).await;

            assert_eq!(end.operation()["evidence"], request.observation(), "{end:#?}");
            assert_eq!(request.calls(sandbox).len(), 2, "{}", sandbox.ledger());
            assert_eq!(sandbox.effects(request.id), 1, "{}", sandbox.ledger());
        }
    }
}
