//! A rolling update: definitions and rights first, then a new pod beside the old one, which is told to stop when the new
//! one is ready.

use cde_sandbox::cde::HoldPoint;
use cde_sandbox::process::Signal;

use crate::cast::{BOTH, Cast, lands, take_off};
use crate::version::Version;
use crate::world::{Kind, Plane, Request, World, restore};

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
    let world = World::on(Plane::own().await).await;
    from.define(&world).await;
    from.grant(&world).await;
    let mut old = world.start(from.replica("old", "50s").await).await;
    let cast = Cast::play(&world).await;
    let mut flights = take_off(&world, "calling", HoldPoint::BeforeEffect).await;
    flights.extend(take_off(&world, "answering", HoldPoint::AfterEffect).await);
    let queued = behind(&world, &flights[1].request).await;

    if with_definitions {
        to.define(&world).await;
    }
    to.grant(&world).await;
    let new = world.start(to.replica("new", "20s").await).await;
    let made_meanwhile = BOTH.map(|kind| Request::new(kind, "meanwhile"));
    old.process.signal(Signal::TERM).unwrap();
    old.says("stopping").await;
    for request in &made_meanwhile {
        world.sandbox.put(request.willing());
        world.apply(&request.manifest()).await;
    }
    assert!(!new.log().contains("this replica leads"), "two lead:\n{}", new.log());
    let mut requests = Vec::new();
    for flight in flights {
        flight.call.release();
        requests.push(flight.request);
    }
    assert_eq!(old.exit_code().await, Some(0), "{}", old.log());
    new.says("this replica leads").await;

    for request in requests.iter().chain(&made_meanwhile) {
        lands(&world, request, 1, "Response").await;
    }
    world.comes_to(&queued, "AlreadyRestored").await;
    assert_eq!(world.sandbox.effects(queued.id), 1, "the rollback's: {}", world.sandbox.ledger());
    world.later().await;
    cast.is_as_it_was(&world).await;
    cast.goes_on(&world).await;
}

/// A restore that waits for a rollback of the same connector.
async fn behind(world: &World, first: &Request) -> Request {
    assert_eq!(first.kind, Kind::Rollback);
    let queued = Request { kind: Kind::Restore, name: "crst-queued".to_owned(), id: first.id };
    world.apply(&restore(&queued.name, queued.id)).await;
    world.comes_to(&queued, "Pending").await;
    queued
}
