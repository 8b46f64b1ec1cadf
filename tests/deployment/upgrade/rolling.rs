//! A rolling update: definitions and rights first, then a new pod beside the old one, which is told to stop when the new
//! one is ready.

use cde_sandbox::cde::HoldPoint;
use cde_sandbox::process::Signal;

use crate::tools::own_control_plane;
use crate::upgrade::cast::{BOTH, Cast, lands, take_off};
use crate::upgrade::version::Version;
use cde_harness::{Kind, Request, TestEnv, restore};

#[tokio::test]
async fn an_upgrade_changes_no_record_repeats_no_call_and_lets_what_waits_go_on() {
    goes_over(Version::Earlier, Version::Present, true).await;
}

/// The definitions stay: a field that is taken away would take stored data with it.
#[tokio::test]
async fn the_operator_alone_can_go_back_to_the_earlier_version() {
    goes_over(Version::Present, Version::Earlier, false).await;
}

async fn goes_over(from: Version, to: Version, with_definitions: bool) {
    let env = TestEnv::on(own_control_plane().await).await;
    from.define(&env).await;
    from.grant(&env).await;
    let mut old = env.start(from.replica("old", "50s").await).await;
    let cast = Cast::play(&env).await;
    let mut flights = take_off(&env, "calling", HoldPoint::BeforeEffect).await;
    flights.extend(take_off(&env, "answering", HoldPoint::AfterEffect).await);
    let queued = behind(&env, &flights[1].request).await;

    if with_definitions {
        to.define(&env).await;
    }
    to.grant(&env).await;
    let new = env.start(to.replica("new", "20s").await).await;
    let made_meanwhile = BOTH.map(|kind| Request::new(kind, "meanwhile"));
    old.process.signal(Signal::TERM).unwrap();
    old.wait_for_log("stopping").await;
    for request in &made_meanwhile {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
    }
    assert!(!new.log().contains("this replica leads"), "two lead:\n{}", new.log());
    let mut requests = Vec::new();
    for flight in flights {
        flight.call.release();
        requests.push(flight.request);
    }
    assert_eq!(old.exit_code().await, Some(0), "{}", old.log());
    new.wait_for_log("this replica leads").await;

    for request in requests.iter().chain(&made_meanwhile) {
        lands(&env, request, 1, "Response").await;
    }
    env.wait_for(&queued, "AlreadyRestored").await;
    assert_eq!(env.sandbox.effects(queued.id), 1, "the rollback's: {}", env.sandbox.ledger());
    env.settle().await;
    cast.is_as_it_was(&env).await;
    cast.goes_on(&env).await;
}

/// A restore that waits for a rollback of the same connector.
async fn behind(env: &TestEnv, first: &Request) -> Request {
    assert_eq!(first.kind, Kind::Rollback);
    let queued = Request { kind: Kind::Restore, name: "crst-queued".to_owned(), id: first.id };
    env.apply(&restore(&queued.name, queued.id)).await;
    env.wait_for(&queued, "Queued").await;
    queued
}
