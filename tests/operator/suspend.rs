//! `spec.suspend`: no new attempt begins, in whatever phase the request is.

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use serde_json::{Value, json};

use crate::world::{Kind, Object, Request, World, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// Sets `spec.suspend`, as a user does.
async fn suspend(world: &World, request: &Request, suspended: bool) {
    world.patch(request, json!({"spec": {"suspend": suspended}})).await;
}

#[tokio::test]
async fn a_suspended_request_says_so_and_calls_nothing_until_it_is_resumed() {
    let (world, _operator) = World::brisk().await;
    let requests = BOTH.map(|kind| Request::new(kind, "asleep"));
    for request in &requests {
        world.sandbox.put(request.willing());
    }
    world.apply_all(requests.each_ref().map(|it| it.manifest().spec("suspend", true))).await;
    for request in &requests {
        let waiting = world.comes_to(request, "Suspended").await;
        assert_eq!(waiting.attempts(), 0);
        assert_eq!(waiting.operation()["server"], Value::Null);
    }
    world.later().await;
    for request in &requests {
        assert_eq!(world.sandbox.calls(Operation::Any, request.id).len(), 0, "{}", request.name);
        suspend(&world, request, false).await;
    }

    for request in &requests {
        let done = world.comes_to(request, request.success()).await;
        assert_eq!(done.attempts(), 1);
        let told: Vec<_> =
            world.until_events(&request.name, 2).await.into_iter().map(|it| (it.0, it.1)).collect();
        let expected =
            ["Suspended", request.success()].map(|reason| ("Normal".to_owned(), reason.to_owned()));
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn a_request_that_is_suspended_while_it_waits_begins_no_attempt_when_the_wait_is_over() {
    let (world, _operator) = World::brisk().await;
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
    let requests = BOTH.map(|kind| world.request(kind, "dozing", locked.clone()));
    world.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut retrying = Vec::new();
    for request in &requests {
        retrying.push(world.comes_to(request, "Retrying").await);
        suspend(&world, request, true).await;
    }
    for (request, retrying) in requests.iter().zip(&retrying) {
        let waiting = world.comes_to(request, "Suspended").await;
        let since = |object: &Object| object.condition("Ready")["lastTransitionTime"].clone();
        assert_eq!(since(&waiting), since(retrying), "it is Unknown since then, for whatever reason");
        assert_eq!((waiting.attempts(), &waiting.last_error()["code"]), (1, &json!(423)));
        // Its wait ends now.
        world.annotate_retry(request, &from_now(0)).await;
    }
    world.later().await;
    for request in &requests {
        assert_eq!(world.attempts(request).len(), 1, "{}", request.name);
        suspend(&world, request, false).await;
    }

    for request in &requests {
        assert_eq!(world.comes_to(request, request.success()).await.attempts(), 2);
    }
}

#[tokio::test]
async fn a_call_that_is_under_way_when_the_request_is_suspended_is_finished_and_recorded() {
    let (world, _operator) = World::brisk().await;
    for kind in BOTH {
        let request = Request::new(kind, "at-work");
        world.sandbox.put(request.willing());
        let mut held = world.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect);
        world.apply(&request.manifest()).await;
        held.arrived().await.expect("an attempt");
        suspend(&world, &request, true).await;
        held.release();

        let done = world.comes_to(&request, request.success()).await;

        assert_eq!(done.attempts(), 1);
        assert_eq!(world.sandbox.effects(request.id), 1);
    }
}

#[tokio::test]
async fn an_open_effect_is_looked_for_while_suspended_and_only_its_absence_keeps_the_request_asleep() {
    let (world, _operator) = World::brisk().await;
    let lost = Fault::on(Operation::Rollback).answer(500).header("retry-after", "3600");
    let shows = world.request(Kind::Rollback, "shows", lost.clone().after_effect());
    let hides = world.request(Kind::Rollback, "hides", lost);
    world.apply_all([&shows, &hides].map(Request::manifest)).await;
    for request in [&shows, &hides] {
        world.comes_to(request, "Verifying").await;
        suspend(&world, request, true).await;
        // The wait before the look ends now.
        world.annotate_retry(request, &from_now(0)).await;
    }

    let done = world.comes_to(&shows, "RolledBack").await;
    assert_eq!(done.operation()["evidence"], "ObservedChange");
    world.comes_to(&hides, "Suspended").await;
    world.later().await;
    assert_eq!(world.attempts(&hides).len(), 1);
    suspend(&world, &hides, false).await;
    assert_eq!(world.comes_to(&hides, "RolledBack").await.attempts(), 2);
    assert_eq!((world.sandbox.effects(shows.id), world.sandbox.effects(hides.id)), (1, 1));
}

#[tokio::test]
async fn the_time_that_a_request_is_suspended_counts_towards_its_deadline() {
    let (world, _operator) = World::brisk().await;
    let request = Request::new(Kind::Restore, "overslept");
    world.sandbox.put(request.willing());
    let manifest = request.manifest().spec("suspend", true).spec("activeDeadlineSeconds", 2);
    world.apply(&manifest).await;

    world.comes_to(&request, "DeadlineExceeded").await;

    assert_eq!(world.sandbox.calls(Operation::Any, request.id).len(), 0);
}

#[tokio::test]
async fn an_edit_while_it_sleeps_is_observed() {
    let (world, _operator) = World::brisk().await;
    let request = Request::new(Kind::Restore, "asleep");
    world.apply(&request.manifest().spec("suspend", true)).await;
    world.comes_to(&request, "Suspended").await;

    world.patch(&request, json!({"spec": {"activeDeadlineSeconds": 600}})).await;

    assert_eq!(world.observes(&request, 2).await.reason(), "Suspended");
}
