//! The old operator dies with calls under way, and the new one finds what it left.

use cde_sandbox::cde::HoldPoint;

use crate::tools::own_control_plane;
use crate::upgrade::existing::{ExistingRequests, check_end, hold_calls};
use crate::upgrade::version::Version;
use cde_harness::TestEnv;

#[tokio::test]
async fn the_new_operator_verifies_the_calls_that_an_earlier_one_left_in_flight() {
    let env = TestEnv::on(own_control_plane().await).await;
    Version::Earlier.define(&env).await;
    Version::Earlier.grant(&env).await;
    let mut old = env.start(Version::Earlier.replica("old", "15s").await).await;
    let existing = ExistingRequests::create(&env).await;
    let answering = hold_calls(&env, "answering", HoldPoint::AfterEffect).await;
    let slow = hold_calls(&env, "slow", HoldPoint::BeforeEffect).await;
    let lost = hold_calls(&env, "lost", HoldPoint::BeforeEffect).await;

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
        check_end(&env, request, *calls, evidence).await;
    }
    env.settle().await;
    existing.check_unchanged(&env).await;
    existing.check_retries(&env).await;
}
