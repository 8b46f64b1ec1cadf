//! A rolling update: the new replica starts before the old one has gone, and requests keep coming.

use cde_sandbox::cde::{Held, HoldPoint, Operation};
use cde_sandbox::process::Signal;
use futures::future::join_all;

use super::{BOTH, Mode};
use crate::faults::request::{Request, a_rollback, apply, many};
use cde_harness::TestEnv;

/// Fault 35.
#[tokio::test]
async fn a_rolling_update_with_overlap_loses_and_repeats_no_request() {
    join_all(BOTH.map(roll_out)).await;
}

async fn roll_out(mode: Mode) {
    let env = TestEnv::new().await;
    let mut all = Vec::new();
    let arrive = async |step: &str, all: &mut Vec<Request>| {
        let mut requests = many(&env.sandbox, 6);
        for request in &mut requests {
            request.name = format!("{step}-{}", request.name);
        }
        apply(&env, &requests).await;
        all.extend(requests);
    };
    let under_way = a_rollback(&env.sandbox, "under-way");
    let mut call: Held = env.sandbox.hold(Operation::Rollback, under_way.id, HoldPoint::BeforeEffect);
    let mut old = env.start(mode.replica("old").with("--timeout", "40s")).await;
    apply(&env, std::slice::from_ref(&under_way)).await;
    call.arrived().await.unwrap();
    all.push(under_way);

    arrive("before", &mut all).await;
    let new = env.start(mode.replica("new").with("--timeout", "10s").without_readiness_wait()).await;
    arrive("starting", &mut all).await;
    new.wait_for_log("starting").await;
    old.process.signal(Signal::TERM).unwrap();
    arrive("stopping", &mut all).await;
    old.wait_for_log("stopping").await;
    arrive("finishing", &mut all).await;
    call.release();
    arrive("released", &mut all).await;
    assert_eq!(old.exit_code().await, Some(0), "{}", old.log());
    arrive("after", &mut all).await;

    for request in &all {
        let end = request.succeeds(&env).await;
        let (calls, ledger) = (request.calls(&env.sandbox).len(), env.sandbox.ledger());
        assert_eq!(
            end.operation()["evidence"],
            "Response",
            "{}: a response was lost: {end:#?}",
            request.name
        );
        assert_eq!((calls, env.sandbox.effects(request.id)), (1, 1), "{}:\n{ledger}", request.name);
    }
    env.settle().await;
    assert_eq!(env.sandbox.ledger().all_effects(), all.len() + 1, "{}", env.sandbox.ledger());
}
