//! The old operator dies with calls under way, and the new one finds what it left.

use cde_sandbox::cde::HoldPoint;

use crate::cast::{Cast, lands, take_off};
use crate::version::Version;
use crate::world::{Plane, World};

#[tokio::test]
async fn what_an_earlier_operator_left_in_flight_is_verified_by_the_present_one() {
    let world = World::on(Plane::own().await).await;
    Version::Earlier.define(&world).await;
    Version::Earlier.grant(&world).await;
    let mut old = world.start(Version::Earlier.replica("old", "15s").await).await;
    let cast = Cast::play(&world).await;
    let answering = take_off(&world, "answering", HoldPoint::AfterEffect).await;
    let slow = take_off(&world, "slow", HoldPoint::BeforeEffect).await;
    let lost = take_off(&world, "lost", HoldPoint::BeforeEffect).await;

    old.kill();
    let mut requests = Vec::new();
    for flight in answering {
        flight.call.cut();
        requests.push((flight.request, 1));
    }
    for flight in lost {
        flight.call.cut();
        requests.push((flight.request, 2));
    }
    Version::Present.define(&world).await;
    Version::Present.grant(&world).await;
    let new = world.start(Version::Present.replica("new", "15s").await).await;
    // The server carries these out after their caller is gone.
    for flight in slow {
        flight.call.release();
        requests.push((flight.request, 1));
    }
    new.says("this replica leads").await;

    for (request, calls) in &requests {
        let evidence = if *calls == 1 { request.observed() } else { "Response" };
        lands(&world, request, *calls, evidence).await;
    }
    world.later().await;
    cast.is_as_it_was(&world).await;
    cast.goes_on(&world).await;
}
