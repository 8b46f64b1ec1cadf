//! The process dies between any two steps. Each test does it to both kinds at once.

use cde_sandbox::cde::{HoldPoint, Operation};
use cde_sandbox::proxy::{Point, Rule};
use http::Method;

use crate::faults::request::{apply, both};
use crate::faults::scene::{CLAIM, OUTCOME, Scene};
use cde_harness::Flags;

/// Fault 1: the restore's operator dies when it has listed the object, the rollback's when it reads the connector.
#[tokio::test]
async fn a_crash_before_the_claim_loses_nothing() {
    let scene = Scene::new().await;
    scene.apply().await;
    let list =
        scene.proxy.hold(Rule::verb(Method::GET).path_ends_with("/connectorrestores"), Point::BeforeReply);
    let flags = Flags::default().without_readiness_wait().env("POD_NAME", "first");
    let mut first = scene.env.start_behind(&scene.proxy, flags).await;
    list.seen().await.unwrap();
    first.kill();
    list.cut();

    let mut read = scene.env.sandbox.hold(Operation::Read, scene.requests[0].id, HoldPoint::BeforeEffect);
    let mut second = scene.operator("second").await;
    read.arrived().await.unwrap();
    scene.requests[1].succeeds(&scene.env).await;
    second.kill();
    read.release();

    let _third = scene.operator("third").await;
    scene.ends_after(1).await;
}

/// Fault 2: the claim never arrives.
#[tokio::test]
async fn a_crash_with_a_claim_that_never_arrives_loses_nothing() {
    let scene = Scene::new().await;
    let held = scene.dies_in_write(CLAIM, Point::BeforeForward).await;
    for one in held {
        one.cut();
    }
    let _second = scene.operator("second").await;
    scene.ends_after(1).await;
}

/// Fault 2: the claim of the dead process arrives when the next one is about to claim.
#[tokio::test]
async fn a_claim_that_arrives_after_its_claimer_died_is_waited_out_and_one_call_is_made() {
    let scene = Scene::new().await;
    let late = scene.dies_in_write(CLAIM, Point::BeforeForward).await;
    let claims = scene
        .requests
        .each_ref()
        .map(|request| scene.proxy.hold(request.status_writes(), Point::BeforeForward));
    let _second = scene.operator("second").await;
    for claim in &claims {
        claim.seen().await.unwrap();
    }
    for one in late {
        one.release();
    }
    for request in &scene.requests {
        request.wait_for_reason(&scene.env, "InProgress").await;
    }
    for one in claims {
        one.release();
    }
    scene.ends_after(1).await;
    assert_eq!(scene.conflicts(), 2, "the second claims were refused");
}

/// Faults 2 and 3: the claim is stored, its claimer did not hear of it and called nothing.
#[tokio::test]
async fn a_crash_between_the_stored_claim_and_its_call_makes_one_call_and_no_second() {
    let scene = Scene::new().await;
    let held = scene.dies_in_write(CLAIM, Point::BeforeReply).await;
    for one in held {
        one.cut();
    }
    for request in &scene.requests {
        assert!(request.calls(&scene.env.sandbox).is_empty());
    }
    let _second = scene.operator("second").await;
    scene.ends_after(1).await;
}

/// Fault 4: the call had no effect, and that is seen before it is made again.
#[tokio::test]
async fn a_crash_during_a_call_without_effect_repeats_it_when_it_is_seen_to_have_had_none() {
    let scene = Scene::new().await;
    let held = scene.dies_in_call(HoldPoint::BeforeEffect, "1s").await;
    for one in held {
        one.cut();
    }
    let _second = scene.operator("second").await;
    scene.ends_after(2).await;
    for request in &scene.requests {
        assert!(request.reads(&scene.env.sandbox) > 0, "nobody looked before the second call");
    }
}

/// Fault 4: the call had its effect, its answer reached nobody.
#[tokio::test]
async fn a_crash_during_a_call_with_effect_finds_the_effect_and_calls_no_more() {
    let scene = Scene::new().await;
    let held = scene.dies_in_call(HoldPoint::AfterEffect, "1s").await;
    for one in held {
        one.cut();
    }
    let _second = scene.operator("second").await;
    scene.is_observed_after(1).await;
}

/// Fault 9, and fault 4 with a slow server: the effect comes while the pod, restarted under its own name, waits.
#[tokio::test]
async fn a_restarted_pod_waits_out_the_claim_of_its_former_self_and_races_no_slow_server() {
    let scene = Scene::new().await;
    let held = scene.dies_in_call(HoldPoint::BeforeEffect, "5s").await;
    let claims = [scene.requests[0].get(&scene.env).await, scene.requests[1].get(&scene.env).await];
    let _second = scene.operator_with("first", "5s").await;
    // Whatever the second process does at once it has done when these are done.
    let others = both(&scene.env.sandbox, "other");
    apply(&scene.env, &others).await;
    for (other, claim) in others.iter().zip(&claims) {
        let other = other.succeeds(&scene.env).await;
        assert!(other.status()["operation"]["inFlight"].is_null());
        assert!(claim.operation()["inFlight"]["holder"].as_str().unwrap().starts_with("first-"));
    }
    for request in &scene.requests {
        assert_eq!(request.calls(&scene.env.sandbox).len(), 1, "the claim was not waited out");
    }
    for one in held {
        one.release();
    }
    scene.is_observed_after(1).await;
}

/// Fault 5.
#[tokio::test]
async fn a_crash_with_an_outcome_that_is_not_written_finds_the_effect_and_calls_no_more() {
    let scene = Scene::new().await;
    let held = scene.dies_in_write(OUTCOME, Point::BeforeForward).await;
    for one in held {
        one.cut();
    }
    let _second = scene.operator("second").await;
    scene.is_observed_after(1).await;
}

/// Fault 6: the outcome is stored before or after the next process starts.
#[tokio::test]
async fn a_crash_with_an_outcome_that_is_stored_unheard_leaves_nothing_to_do() {
    for point in [Point::BeforeReply, Point::BeforeForward] {
        let scene = Scene::new().await;
        let held = scene.dies_in_write(OUTCOME, point).await;
        let _second = scene.operator("second").await;
        for one in held {
            one.release();
        }
        scene.ends_after(1).await;
    }
}

/// Fault 7.
#[tokio::test]
async fn a_crash_before_the_event_leaves_a_full_record_and_nothing_is_called_again() {
    let scene = Scene::new().await;
    let events =
        scene.proxy.hold(Rule::verb(Method::POST).path_ends_with("/events").always(), Point::BeforeForward);
    let mut first = scene.operator("first").await;
    scene.apply().await;
    for request in &scene.requests {
        request.succeeds(&scene.env).await;
    }
    events.seen().await.unwrap();
    first.kill();
    events.cut();
    let _second = scene.operator("second").await;
    scene.ends_after(1).await;
    assert!(scene.env.events("struck").await.iter().all(|(_, reason, _)| reason != "Retrying"));
}
