//! The process dies between any two steps. Each test does this to both kinds at once.

use cde_sandbox::cde::{HoldPoint, Operation};
use cde_sandbox::proxy::{Point, Rule};
use http::Method;

use crate::faults::proxied::{CLAIM, OUTCOME, ProxiedRequests};
use crate::faults::request::{apply, both};
use cde_harness::Flags;

/// Fault 1: the restore's operator dies when it has listed the object, and the rollback's when it reads the connector.
#[tokio::test]
async fn a_crash_before_the_claim_loses_nothing() {
    let proxied = ProxiedRequests::new().await;
    proxied.apply().await;
    let list =
        proxied.proxy.hold(Rule::verb(Method::GET).path_ends_with("/connectorrestores"), Point::BeforeReply);
    let flags = Flags::default().without_readiness_wait().env("POD_NAME", "first");
    let mut first = proxied.env.start_behind(&proxied.proxy, flags).await;
    list.seen().await.unwrap();
    first.kill();
    list.cut();

    let mut read = proxied.env.sandbox.hold(Operation::Read, proxied.requests[0].id, HoldPoint::BeforeEffect);
    let mut second = proxied.operator("second").await;
    read.arrived().await.unwrap();
    proxied.requests[1].succeeds(&proxied.env).await;
    second.kill();
    read.release();

    let _third = proxied.operator("third").await;
    proxied.ends_after(1).await;
}

/// Fault 2: the claim never arrives.
#[tokio::test]
async fn a_crash_with_a_claim_that_never_arrives_loses_nothing() {
    let proxied = ProxiedRequests::new().await;
    let held = proxied.dies_in_write(CLAIM, Point::BeforeForward).await;
    for one in held {
        one.cut();
    }
    let _second = proxied.operator("second").await;
    proxied.ends_after(1).await;
}

/// Fault 2: the claim of the dead process arrives when the next process is about to claim.
#[tokio::test]
async fn a_claim_that_arrives_after_its_claimer_died_is_waited_out_before_one_call() {
    let proxied = ProxiedRequests::new().await;
    let late = proxied.dies_in_write(CLAIM, Point::BeforeForward).await;
    let claims = proxied
        .requests
        .each_ref()
        .map(|request| proxied.proxy.hold(request.status_writes(), Point::BeforeForward));
    let _second = proxied.operator("second").await;
    for claim in &claims {
        claim.seen().await.unwrap();
    }
    for one in late {
        one.release();
    }
    for request in &proxied.requests {
        request.wait_for_reason(&proxied.env, "InProgress").await;
    }
    for one in claims {
        one.release();
    }
    proxied.ends_after(1).await;
    assert_eq!(proxied.conflicts(), 2, "the second claims were rejected");
}

/// Faults 2 and 3: the claim is stored, and its claimer died without the reply and without a call.
#[tokio::test]
async fn a_crash_between_the_stored_claim_and_its_call_leads_to_exactly_one_call() {
    let proxied = ProxiedRequests::new().await;
    let held = proxied.dies_in_write(CLAIM, Point::BeforeReply).await;
    for one in held {
        one.cut();
    }
    for request in &proxied.requests {
        assert!(request.calls(&proxied.env.sandbox).is_empty());
    }
    let _second = proxied.operator("second").await;
    proxied.ends_after(1).await;
}

/// Fault 4: the call had no effect, and a read shows this before the call is repeated.
#[tokio::test]
async fn a_call_without_effect_is_verified_and_repeated_after_a_crash() {
    let proxied = ProxiedRequests::new().await;
    let held = proxied.dies_in_call(HoldPoint::BeforeEffect, "1s").await;
    for one in held {
        one.cut();
    }
    let _second = proxied.operator("second").await;
    proxied.ends_after(2).await;
    for request in &proxied.requests {
        assert!(request.reads(&proxied.env.sandbox) > 0, "no read before the second call");
    }
}

/// Fault 4: the call had its effect, and its response was lost.
#[tokio::test]
async fn the_effect_of_a_call_is_found_after_a_crash_and_the_call_is_not_repeated() {
    let proxied = ProxiedRequests::new().await;
    let held = proxied.dies_in_call(HoldPoint::AfterEffect, "1s").await;
    for one in held {
        one.cut();
    }
    let _second = proxied.operator("second").await;
    proxied.is_observed_after(1).await;
}

/// Faults 9 and 4, with a slow server: the effect comes while the pod, restarted under its own name, waits.
#[tokio::test]
async fn a_restarted_pod_waits_for_the_claim_of_its_earlier_process_to_end() {
    let proxied = ProxiedRequests::new().await;
    let held = proxied.dies_in_call(HoldPoint::BeforeEffect, "5s").await;
    let claims = [proxied.requests[0].get(&proxied.env).await, proxied.requests[1].get(&proxied.env).await];
    let _second = proxied.operator_with("first", "5s").await;
    // When these are done, the second process has done everything that it does at once.
    let others = both(&proxied.env.sandbox, "other");
    apply(&proxied.env, &others).await;
    for (other, claim) in others.iter().zip(&claims) {
        let other = other.succeeds(&proxied.env).await;
        assert!(other.status()["operation"]["inFlight"].is_null());
        assert!(claim.operation()["inFlight"]["holder"].as_str().unwrap().starts_with("first-"));
    }
    for request in &proxied.requests {
        assert_eq!(request.calls(&proxied.env.sandbox).len(), 1, "the claim was not waited out");
    }
    for one in held {
        one.release();
    }
    proxied.is_observed_after(1).await;
}

/// Fault 5.
#[tokio::test]
async fn the_effect_is_found_after_a_crash_before_the_outcome_is_written() {
    let proxied = ProxiedRequests::new().await;
    let held = proxied.dies_in_write(OUTCOME, Point::BeforeForward).await;
    for one in held {
        one.cut();
    }
    let _second = proxied.operator("second").await;
    proxied.is_observed_after(1).await;
}

/// Fault 6: the outcome is stored before or after the next process starts.
#[tokio::test]
async fn a_crash_after_the_outcome_is_stored_leaves_nothing_to_do() {
    for point in [Point::BeforeReply, Point::BeforeForward] {
        let proxied = ProxiedRequests::new().await;
        let held = proxied.dies_in_write(OUTCOME, point).await;
        let _second = proxied.operator("second").await;
        for one in held {
            one.release();
        }
        proxied.ends_after(1).await;
    }
}

/// Fault 7.
#[tokio::test]
async fn a_crash_before_the_event_leaves_a_complete_record_and_no_second_call() {
    let proxied = ProxiedRequests::new().await;
    let events =
        proxied.proxy.hold(Rule::verb(Method::POST).path_ends_with("/events").always(), Point::BeforeForward);
    let mut first = proxied.operator("first").await;
    proxied.apply().await;
    for request in &proxied.requests {
        request.succeeds(&proxied.env).await;
    }
    events.seen().await.unwrap();
    first.kill();
    events.cut();
    let _second = proxied.operator("second").await;
    proxied.ends_after(1).await;
    assert!(proxied.env.events("struck").await.iter().all(|(_, reason, _)| reason != "Retrying"));
}
