//! Two operators that work on the same objects without knowing of each other.

use std::collections::HashMap;

use cde_sandbox::cde::{Connector, HoldPoint, Operation, RollbackEffect};
use cde_sandbox::proxy::{Point, Proxy};

use crate::faults::request::{a_rollback, apply, many};
use cde_harness::{Flags, TestEnv};

/// Fault 33.
#[tokio::test]
async fn two_operators_on_the_same_objects_make_one_call_for_each() {
    let env = TestEnv::new().await;
    let requests = many(&env.sandbox, 30);
    let telling = Flags::default().env("RUST_LOG", "cde_operator=debug");
    let operators = tokio::join!(
        env.start(telling.clone().env("POD_NAME", "one")),
        env.start(telling.env("POD_NAME", "two")),
    );
    apply(&env, &requests).await;

    for request in &requests {
        request.succeeds(&env).await;
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", env.sandbox.ledger());
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", env.sandbox.ledger());
    }
    let worked = |log: String| log.lines().filter(|line| line.contains("call succeeded")).count();
    let calls = worked(operators.0.log()) + worked(operators.1.log());
    assert!(calls >= 45, "{calls} calls in both logs");
}

/// Fault 37, without the clock: an operator is slow to record a success. The other one sees no effect and has claimed
/// the next attempt when the record arrives.
#[tokio::test]
async fn a_success_that_is_recorded_late_ends_a_request_that_another_operator_has_claimed() {
    let env = TestEnv::new().await;
    let request = a_rollback(&env.sandbox, "slow");
    env.sandbox.put(Connector::migrated(request.id).on_rollback(RollbackEffect::Invisible));
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let flags = Flags::default().with("--timeout", "1s");
    let slow = env.start_behind(&proxy, flags.clone().env("POD_NAME", "slow")).await;
    let record = proxy.hold(request.status_writes().skip(1), Point::BeforeForward);
    apply(&env, std::slice::from_ref(&request)).await;
    record.seen().await.unwrap();
    let mut call = env.sandbox.hold(Operation::Rollback, request.id, HoldPoint::BeforeEffect);
    let _quick = env.start(flags.env("POD_NAME", "quick")).await;
    call.arrived().await.unwrap();
    record.release();

    let end = request.succeeds(&env).await;

    call.cut();
    assert_eq!(end.operation()["attempts"], 2, "{end:#?}");
    assert_eq!(end.operation()["evidence"], "Response", "{end:#?}");
    assert!(end.status()["executables"].is_object(), "the response of the CDE is kept: {end:#?}");
    assert!(!slow.log().contains("rejected the outcome"), "{}", slow.log());
    env.settle().await;
    assert_eq!(request.get(&env).await.status(), end.status());
    let calls: HashMap<_, usize> =
        request.calls(&env.sandbox).iter().fold(HashMap::new(), |mut keys, call| {
            *keys.entry(call.idempotency_key.clone()).or_default() += 1;
            keys
        });
    assert_eq!(calls.into_values().collect::<Vec<_>>(), [2], "both calls belong to one request");
    assert_eq!(env.sandbox.effects(request.id), 1);
}
