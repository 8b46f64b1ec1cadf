//! A rolling update: the new replica is there before the old one has gone, and requests keep coming.

use cde_sandbox::cde::{Held, HoldPoint, Operation};
use cde_sandbox::process::Signal;
use futures::future::join_all;

use super::{BOTH, Mode};
use crate::request::{Request, a_rollback, apply, many};
use crate::world::World;

/// Fault 35.
#[tokio::test]
async fn a_rolling_update_with_overlap_loses_no_request_and_repeats_none() {
    join_all(BOTH.map(roll_out)).await;
}

async fn roll_out(mode: Mode) {
    let world = World::new().await;
    let mut all = Vec::new();
    let arrive = async |step: &str, all: &mut Vec<Request>| {
        let mut requests = many(&world.sandbox, 6);
        for request in &mut requests {
            request.name = format!("{step}-{}", request.name);
        }
        apply(&world, &requests).await;
        all.extend(requests);
    };
    let under_way = a_rollback(&world.sandbox, "under-way");
    let mut call: Held = world.sandbox.hold(Operation::Rollback, under_way.id, HoldPoint::BeforeEffect);
    let mut old = world.start(mode.replica("old").with("--timeout", "40s")).await;
    apply(&world, std::slice::from_ref(&under_way)).await;
    call.arrived().await.unwrap();
    all.push(under_way);

    arrive("before", &mut all).await;
    let new = world.start(mode.replica("new").with("--timeout", "10s").unready()).await;
    arrive("starting", &mut all).await;
    new.says("starting").await;
    old.process.signal(Signal::TERM).unwrap();
    arrive("stopping", &mut all).await;
    old.says("stopping").await;
    arrive("finishing", &mut all).await;
    call.release();
    arrive("released", &mut all).await;
    assert_eq!(old.exit_code().await, Some(0), "{}", old.log());
    arrive("after", &mut all).await;

    for request in &all {
        let end = request.succeeds(&world).await;
        let (calls, ledger) = (request.calls(&world.sandbox).len(), world.sandbox.ledger());
        assert_eq!(end.operation()["evidence"], "Response", "{}: an answer was lost: {end:#?}", request.name);
        assert_eq!((calls, world.sandbox.effects(request.id)), (1, 1), "{}:\n{ledger}", request.name);
    }
    world.later().await;
    assert_eq!(world.sandbox.ledger().all_effects(), all.len() + 1, "{}", world.sandbox.ledger());
}
