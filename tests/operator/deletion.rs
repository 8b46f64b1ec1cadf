//! Deletion, in each phase: it undoes nothing, begins nothing, and what came of a call under way is told.

use std::time::Instant;

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use serde_json::{Value, json};

use crate::world::{Kind, LIMIT, Object, Operator, POLL, Request, World, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

fn locked(seconds: u32) -> Fault {
    Fault::on(Operation::Changing).answer(423).header("retry-after", seconds.to_string())
}

/// The line of the log about an object that was deleted while its call was under way.
async fn epitaph(operator: &Operator, uid: &str) -> Value {
    let begun = Instant::now();
    loop {
        let log = operator.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(line) = lines.into_iter().find(|line| line["uid"] == uid) {
            return line;
        }
        assert!(begun.elapsed() < LIMIT, "no line tells of {uid}:\n{log}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_request_that_is_deleted_before_it_began_or_while_it_waits_is_not_called_any_more() {
    let (world, _operator) = World::brisk().await;
    let asleep = BOTH.map(|kind| Request::new(kind, "asleep"));
    let waiting = BOTH.map(|kind| world.request(kind, "waiting", locked(3)));
    for request in &asleep {
        world.sandbox.put(request.willing());
    }
    let suspended = asleep.iter().map(|request| request.manifest().spec("suspend", true));
    world.apply_all(waiting.iter().map(Request::manifest).chain(suspended)).await;
    let phases = waiting.iter().map(|it| (it, "Retrying")).chain(asleep.iter().map(|it| (it, "Suspended")));
    for (request, reason) in phases {
        world.comes_to(request, reason).await;
        world.delete(request.kind, &request.name).await;
    }

    world.later_by(4).await;
    for request in &asleep {
        assert_eq!(world.sandbox.calls(Operation::Any, request.id).len(), 0, "{}", request.name);
    }
    for request in &waiting {
        assert_eq!(world.attempts(request).len(), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_rollback_that_is_deleted_while_its_connector_is_read_is_not_called_and_keeps_nobody_waiting() {
    let (world, _operator) = World::brisk().await;
    let [gone, marker, other] = ["gone", "marker", "other"].map(|what| Request::new(Kind::Rollback, what));
    for request in [&gone, &marker, &other] {
        world.sandbox.put(request.willing());
    }
    let mut read = world.sandbox.hold(Operation::Read, gone.id, HoldPoint::BeforeEffect);
    world.apply(&gone.manifest()).await;
    read.arrived().await.expect("a read");
    world.delete(gone.kind, &gone.name).await;
    // Who sees this one has seen the deletion before it.
    world.apply(&marker.manifest()).await;
    world.comes_to(&marker, "RolledBack").await;

    read.release();

    world.apply(&other.manifest()).await;
    world.comes_to(&other, "RolledBack").await;
    assert_eq!(world.attempts(&gone).len(), 0);
}

/// Deletes a request of this kind while its call is under way, and gives the line of the log.
async fn delete_meanwhile(world: &World, operator: &Operator, request: &Request) -> Value {
    let mut held = world.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect);
    world.apply(&request.manifest()).await;
    held.arrived().await.expect("an attempt");
    let object = world.comes_to(request, "InProgress").await;
    world.delete(request.kind, &request.name).await;
    held.release();
    let line = epitaph(operator, object.metadata()["uid"].as_str().expect("a uid")).await;
    assert_eq!(line["operation"], object.operation()["id"], "{line}");
    assert!(line.to_string().contains(&request.name), "{line}");
    line
}

#[tokio::test]
async fn what_came_of_a_call_whose_object_was_deleted_goes_to_the_log_and_an_event() {
    let (world, operator) = World::brisk().await;
    for kind in BOTH {
        let done = Request::new(kind, "done");
        world.sandbox.put(done.willing());
        let refused = world.request(kind, "refused", Fault::on(Operation::Changing).answer(422));
        for (request, outcome, reason) in
            [(&done, "Succeeded", done.success()), (&refused, "Failed", "Rejected")]
        {
            let line = delete_meanwhile(&world, &operator, request).await;
            assert_eq!((&line["outcome"], &line["reason"]), (&json!(outcome), &json!(reason)), "{line}");
            let told = world.until_events(&request.name, 1).await;
            assert_eq!(told[0].1, reason, "{told:?}");
        }
    }
    assert!(!operator.log().contains("\"level\":\"ERROR\""), "what is gone is no error:\n{}", operator.log());
}

#[tokio::test]
async fn where_the_answer_to_a_deleted_request_leaves_its_effect_open_a_warning_says_so_and_nothing_follows()
{
    let (world, operator) = World::brisk().await;
    for kind in BOTH {
        let lost = world.request(kind, "lost", Fault::on(Operation::Changing).answer(500).after_effect());
        let locked = world.request(kind, "locked", Fault::on(Operation::Changing).answer(423));
        for (request, code) in [(&lost, 500), (&locked, 423)] {
            let line = delete_meanwhile(&world, &operator, request).await;
            assert_eq!((&line["code"], &line["outcome"]), (&json!(code), &Value::Null), "{line}");
        }
        let told = world.until_events(&lost.name, 1).await;
        assert_eq!((told[0].0.as_str(), told[0].1.as_str()), ("Warning", "OutcomeUnknown"), "{told:?}");
        assert!(told[0].2.contains("the CDE API answered 500"), "{told:?}");
        world.later().await;
        assert_eq!(world.events(&locked.name).await, [], "without an effect there is nothing to tell");
        assert_eq!((world.attempts(&lost).len(), world.attempts(&locked).len()), (1, 1));
    }
}

#[tokio::test]
async fn no_attempt_begins_while_somebody_elses_finalizer_keeps_a_deleted_request() {
    let (world, _operator) = World::brisk().await;
    let requests = BOTH.map(|kind| world.request(kind, "kept", locked(3600)));
    world.apply_all(requests.each_ref().map(|request| request.manifest().finalizer())).await;
    for request in &requests {
        world.comes_to(request, "Retrying").await;
        world.delete(request.kind, &request.name).await;
        // Its wait ends now.
        world.annotate_retry(request, &from_now(0)).await;
    }

    world.later().await;
    for request in &requests {
        assert_eq!(world.attempts(request).len(), 1, "{}", request.name);
        let kept = world.look(request.kind, &request.name).await;
        assert!(kept.metadata()["deletionTimestamp"].is_string());
    }
}

#[tokio::test]
async fn a_call_that_is_under_way_when_a_kept_request_is_deleted_is_recorded() {
    let (world, _operator) = World::brisk().await;
    for kind in BOTH {
        let request = Request::new(kind, "kept");
        world.sandbox.put(request.willing());
        let mut held = world.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect);
        world.apply(&request.manifest().finalizer()).await;
        held.arrived().await.expect("an attempt");
        world.delete(kind, &request.name).await;
        held.release();

        let done = world.comes_to(&request, request.success()).await;

        assert!(done.metadata()["deletionTimestamp"].is_string());
    }
}

#[tokio::test]
async fn an_open_effect_of_a_deleted_request_is_still_looked_for() {
    let (world, _operator) = World::brisk().await;
    let lost = Fault::on(Operation::Rollback).answer(500).header("retry-after", "3600");
    let shows = world.request(Kind::Rollback, "shows", lost.clone().after_effect());
    let hides = world.request(Kind::Rollback, "hides", lost);
    world.apply_all([&shows, &hides].map(|request| request.manifest().finalizer())).await;
    for request in [&shows, &hides] {
        world.comes_to(request, "Verifying").await;
        world.delete(request.kind, &request.name).await;
        world.annotate_retry(request, &from_now(0)).await;
    }

    let done = world.comes_to(&shows, "RolledBack").await;

    assert_eq!(done.operation()["evidence"], json!("ObservedChange"));
    world.later().await;
    assert_eq!(world.attempts(&hides).len(), 1, "no attempt follows");
    let open = |object: &Object| object.status()["outcome"].is_null();
    assert!(open(&world.look(hides.kind, &hides.name).await));
}
