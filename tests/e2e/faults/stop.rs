//! The process is told to stop during a call.

use std::time::{Duration, Instant};

use cde_sandbox::cde::HoldPoint;
use cde_sandbox::process::Signal;

use crate::faults::request::{apply, both};
use crate::faults::scene::Scene;

/// Fault 8.
#[tokio::test]
async fn told_to_stop_during_a_call_it_finishes_and_records_it_and_begins_nothing_new() {
    let scene = Scene::new().await;
    let mut held = scene.hold_calls(HoldPoint::BeforeEffect);
    let mut operator = scene.operator_with("first", "5s").await;
    scene.apply().await;
    for held in &mut held {
        held.arrived().await.unwrap();
    }
    let told = Instant::now();
    operator.process.signal(Signal::TERM).unwrap();
    operator.wait_for_log("stopping").await;
    let others = both(&scene.env.sandbox, "other");
    apply(&scene.env, &others).await;
    for one in held {
        one.release();
    }

    let ended = operator.exit_code().await;
    let took = told.elapsed();

    assert_eq!(ended, Some(0), "{}", operator.log());
    assert!(took < Duration::from_secs(5 + 10), "it took {took:?}");
    for request in &scene.requests {
        let end = request.get(&scene.env).await;
        assert_eq!((end.reason(), scene.env.sandbox.effects(request.id)), (request.success(), 1), "{end:#?}");
    }
    assert_eq!(scene.env.events("struck").await.len(), 2, "one Event each");
    for other in &others {
        assert!(other.calls(&scene.env.sandbox).is_empty(), "something new was begun");
        assert!(other.get(&scene.env).await.operation().is_null());
    }
}

/// Faults 8 and 20.
#[tokio::test]
async fn told_to_stop_while_the_api_server_hangs_it_ends_in_time() {
    let scene = Scene::new().await;
    let mut held = scene.hold_calls(HoldPoint::AfterEffect);
    let mut operator = scene.operator("first").await;
    scene.apply().await;
    for held in &mut held {
        held.arrived().await.unwrap();
    }
    scene.proxy.pause();
    for one in held {
        one.release();
    }

    let told = Instant::now();
    let ended = operator.terminate().await;
    let took = told.elapsed();

    assert_eq!(ended, Some(0), "{}", operator.log());
    assert!(took < Duration::from_secs(1 + 10), "it took {took:?}");
}
