//! The old operator dies with calls under way, and the new one finds what it left.

use cde_sandbox::cde::HoldPoint;

use crate::tools::own_control_plane;
use crate::upgrade::cast::{Cast, lands, take_off};
use crate::upgrade::version::Version;
use cde_harness::TestEnv;

#[tokio::test]
async fn what_an_earlier_operator_left_in_flight_is_verified_by_the_present_one() {
    let env = TestEnv::on(own_control_plane().await).await;
    Version::Earlier.define(&env).await;
    Version::Earlier.grant(&env).await;
    let mut old = env.start(Version::Earlier.replica("old", "15s").await).await;
    let cast = Cast::play(&env).await;
    let answering = take_off(&env, "answering", HoldPoint::AfterEffect).await;
    let slow = take_off(&env, "slow", HoldPoint::BeforeEffect).await;
    let lost = take_off(&env, "lost", HoldPoint::BeforeEffect).await;

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
    Version::Present.define(&env).await;
    Version::Present.grant(&env).await;
    let new = env.start(Version::Present.replica("new", "15s").await).await;
    // The server carries these out after their caller is gone.
    for flight in slow {
        flight.call.release();
        requests.push((flight.request, 1));
    }
    new.wait_for_log("this replica leads").await;

    for (request, calls) in &requests {
        let evidence = if *calls == 1 { request.observed() } else { "Response" };
        lands(&env, request, *calls, evidence).await;
    }
    env.settle().await;
    cast.is_as_it_was(&env).await;
    cast.goes_on(&env).await;
}
