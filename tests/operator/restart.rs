//! A restart: finished requests stay as they are, open ones go on from what their status says.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use crate::world::{Flags, Kind, Request, World, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

#[tokio::test]
async fn finished_requests_cost_a_restarted_operator_neither_a_write_nor_a_call() {
    let (world, mut operator) = World::brisk().await;
    let done = BOTH.map(|kind| Request::new(kind, "done"));
    let refuse = || Fault::on(Operation::Changing).answer(422).always();
    let failed = BOTH.map(|kind| world.request(kind, "failed", refuse()));
    let skipped = BOTH.map(|kind| Request::new(kind, "skipped"));
    for request in &done {
        world.sandbox.put(request.willing());
    }
    let plain = done.iter().chain(&failed).map(Request::manifest);
    let old = skipped.iter().map(|it| it.manifest().spec("notAfter", from_now(-2 * 24 * 3600)));
    world.apply_all(plain.chain(old)).await;
    let ends = |requests: &[Request; 2], reasons: [&'static str; 2]| -> Vec<(Request, &'static str)> {
        requests.iter().cloned().zip(reasons).collect()
    };
    let mut all = ends(&done, ["Restored", "RolledBack"]);
    all.extend(ends(&failed, ["Rejected"; 2]));
    all.extend(ends(&skipped, ["Skipped"; 2]));
    let mut records = Vec::new();
    for (request, reason) in &all {
        records.push(world.comes_to(request, reason).await);
    }
    assert_eq!(operator.terminate().await, Some(0));
    let calls = world.sandbox.ledger().total();

    let _again = world.start(Flags::brisk()).await;
    world.later().await;

    for ((request, _), record) in all.iter().zip(&records) {
        let now = world.look(request.kind, &request.name).await;
        assert_eq!(now.resource_version(), record.resource_version(), "{} was written", request.name);
        assert_eq!(world.events(&request.name).await.len(), 1, "{}", request.name);
    }
    assert_eq!(world.sandbox.ledger().total(), calls + 2, "but for the two of the marker");
}

#[tokio::test]
async fn a_request_that_waits_is_neither_forgotten_nor_hurried_by_a_restart() {
    let (world, mut operator) = World::brisk().await;
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3");
    let requests = BOTH.map(|kind| world.request(kind, "waiting", locked.clone()));
    world.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut waits = Vec::new();
    for request in &requests {
        waits.push(world.comes_to(request, "Retrying").await);
    }
    assert_eq!(operator.terminate().await, Some(0));

    let _again = world.start(Flags::brisk()).await;

    for (request, waiting) in requests.iter().zip(&waits) {
        let done = world.comes_to(request, request.success()).await;
        assert_eq!(done.operation()["id"], waiting.operation()["id"]);
        assert_eq!(done.operation()["startedAt"], waiting.operation()["startedAt"]);
        assert_eq!((done.attempts(), &done.operation()["retries"]), (2, &json!(1)));
        let announced = waiting.operation()["nextAttemptAt"].as_str().expect("a time");
        let announced: jiff::Timestamp = announced.parse().expect("RFC 3339");
        let second = world.attempts(request)[1].clone();
        assert!(second.at >= announced, "{} is before {announced}", second.at);
        assert_eq!(second.request_id, Some(format!("{}-2", done.operation()["id"].as_str().expect("an id"))));
        assert_eq!(world.until_events(&request.name, 2).await.len(), 2, "the wait is told once");
    }
}

#[tokio::test]
async fn requests_that_sleep_or_are_verified_go_on_after_a_restart_and_requests_made_meanwhile_begin() {
    let (world, mut operator) = World::brisk().await;
    let asleep = Request::new(Kind::Restore, "asleep");
    world.sandbox.put(asleep.willing());
    let lost = Fault::on(Operation::Rollback).answer(500).header("retry-after", "3600").after_effect();
    let lost = world.request(Kind::Rollback, "lost", lost);
    world.apply_all([asleep.manifest().spec("suspend", true), lost.manifest()]).await;
    let sleeping = world.comes_to(&asleep, "Suspended").await;
    world.comes_to(&lost, "Verifying").await;
    assert_eq!(operator.terminate().await, Some(0));
    let new = Request::new(Kind::Rollback, "new");
    world.sandbox.put(new.willing());
    world.apply(&new.manifest()).await;
    assert_eq!(world.look(new.kind, &new.name).await.status(), &json!({"observedGeneration": -1}));

    let _again = world.start(Flags::brisk()).await;

    world.comes_to(&new, "RolledBack").await;
    world.annotate_retry(&lost, &from_now(0)).await;
    let done = world.comes_to(&lost, "RolledBack").await;
    assert_eq!((done.attempts(), &done.operation()["evidence"]), (1, &json!("ObservedChange")));
    world.later().await;
    let still = world.look(asleep.kind, &asleep.name).await;
    assert_eq!(still.resource_version(), sleeping.resource_version());
}
