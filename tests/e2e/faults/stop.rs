//! The process gets SIGTERM during a call.

use std::time::{Duration, Instant};

use cde_sandbox::cde::HoldPoint;
use cde_sandbox::process::Signal;

use crate::faults::proxied::ProxiedRequests;
use crate::faults::request::{apply, both};

/// Fault 8.
#[tokio::test]
async fn a_shutdown_during_a_call_finishes_and_records_it_and_begins_nothing_new() {
    let proxied = ProxiedRequests::new().await;
    let mut held = proxied.hold_calls(HoldPoint::BeforeEffect);
    let mut operator = proxied.operator_with("first", "5s").await;
    proxied.apply().await;
    for held in &mut held {
        held.arrived().await.unwrap();
    }
    let told = Instant::now();
    operator.process.signal(Signal::TERM).unwrap();
    operator.wait_for_log("stopping").await;
    let others = both(&proxied.env.sandbox, "other");
    apply(&proxied.env, &others).await;
    for one in held {
        one.release();
    }

    let ended = operator.exit_code().await;
    let took = told.elapsed();

    assert_eq!(ended, Some(0), "{}", operator.log());
    assert!(took < Duration::from_secs(5 + 10), "it took {took:?}");
    for request in &proxied.requests {
        let end = request.get(&proxied.env).await;
        assert_eq!(
            (end.reason(), proxied.env.sandbox.effects(request.id)),
            (request.success(), 1),
            "{end:#?}"
        );
    }
    assert_eq!(proxied.env.events("struck").await.len(), 2, "one Event each");
    for other in &others {
        assert!(other.calls(&proxied.env.sandbox).is_empty(), "something new was begun");
        assert!(other.get(&proxied.env).await.operation().is_null());
    }
}

/// Faults 8 and 20.
#[tokio::test]
async fn a_shutdown_while_the_api_server_hangs_ends_in_time() {
    let proxied = ProxiedRequests::new().await;
    let mut held = proxied.hold_calls(HoldPoint::AfterEffect);
    let mut operator = proxied.operator("first").await;
    proxied.apply().await;
    for held in &mut held {
        held.arrived().await.unwrap();
    }
    proxied.proxy.pause();
    for one in held {
        one.release();
    }

    let told = Instant::now();
    let ended = operator.terminate().await;
    let took = told.elapsed();

    assert_eq!(ended, Some(0), "{}", operator.log());
    assert!(took < Duration::from_secs(1 + 10), "it took {took:?}");
}
