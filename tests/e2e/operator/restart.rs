//! A restart: finished requests stay as they are, and open ones continue from their status.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use cde_harness::{Flags, Kind, Request, TestEnv, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

#[tokio::test]
async fn finished_requests_cost_a_restarted_operator_no_write_and_no_call() {
    let (env, mut operator) = TestEnv::with_fast_retries().await;
    let done = BOTH.map(|kind| Request::new(kind, "done"));
    let refuse = || Fault::on(Operation::Changing).answer(403).always();
    let failed = BOTH.map(|kind| env.request(kind, "failed", refuse()));
    let skipped = BOTH.map(|kind| Request::new(kind, "skipped"));
    for request in &done {
        env.sandbox.put(request.ready_connector());
    }
    let plain = done.iter().chain(&failed).map(Request::manifest);
    let old = skipped.iter().map(|it| it.manifest().spec("notAfter", from_now(-2 * 24 * 3600)));
    env.apply_all(plain.chain(old)).await;
    let ends = |requests: &[Request; 2], reasons: [&'static str; 2]| -> Vec<(Request, &'static str)> {
        requests.iter().cloned().zip(reasons).collect()
    };
    let mut all = ends(&done, ["Restored", "RolledBack"]);
    all.extend(ends(&failed, ["AccessDenied"; 2]));
    all.extend(ends(&skipped, ["Skipped"; 2]));
    let mut records = Vec::new();
    for (request, reason) in &all {
        records.push(env.wait_for(request, reason).await);
    }
    assert_eq!(operator.terminate().await, Some(0));
    let calls = env.sandbox.ledger().total();

    let _again = env.start(Flags::fast_retries()).await;
    env.settle().await;

    for ((request, _), record) in all.iter().zip(&records) {
        let now = env.get(request.kind, &request.name).await;
        assert_eq!(now.resource_version(), record.resource_version(), "{} was written", request.name);
        assert_eq!(env.events(&request.name).await.len(), 1, "{}", request.name);
    }
    assert_eq!(env.sandbox.ledger().total(), calls + 2, "except for the two of the marker");
}

#[tokio::test]
async fn a_restart_does_not_change_the_wait_of_a_request() {
    let (env, mut operator) = TestEnv::with_fast_retries().await;
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3");
    let requests = BOTH.map(|kind| env.request(kind, "waiting", locked.clone()));
    env.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut waits = Vec::new();
    for request in &requests {
        waits.push(env.wait_for(request, "Retrying").await);
    }
    assert_eq!(operator.terminate().await, Some(0));

    let _again = env.start(Flags::fast_retries()).await;

    for (request, waiting) in requests.iter().zip(&waits) {
        let done = env.wait_for(request, request.success()).await;
        assert_eq!(done.operation()["id"], waiting.operation()["id"]);
        assert_eq!(done.operation()["startTime"], waiting.operation()["startTime"]);
        assert_eq!((done.attempts(), &done.operation()["backoffStep"]), (2, &json!(1)));
        let announced = waiting.operation()["nextAttemptTime"].as_str().expect("a time");
        let announced: jiff::Timestamp = announced.parse().expect("RFC 3339");
        let second = env.attempts(request)[1].clone();
        assert!(second.at >= announced, "{} is before {announced}", second.at);
        assert_eq!(second.request_id, Some(format!("{}-2", done.operation()["id"].as_str().expect("an id"))));
        assert_eq!(env.until_events(&request.name, 2).await.len(), 2, "the wait is reported once");
    }
}

#[tokio::test]
async fn suspended_verifying_and_new_requests_continue_after_a_restart() {
    let (env, mut operator) = TestEnv::with_fast_retries().await;
    let asleep = Request::new(Kind::Restore, "asleep");
    env.sandbox.put(asleep.ready_connector());
    let lost = Fault::on(Operation::Rollback).answer(500).header("retry-after", "3600").after_effect();
    let lost = env.request(Kind::Rollback, "lost", lost);
    env.apply_all([asleep.manifest().spec("suspend", true), lost.manifest()]).await;
    let sleeping = env.wait_for(&asleep, "Suspended").await;
    env.wait_for(&lost, "Verifying").await;
    assert_eq!(operator.terminate().await, Some(0));
    let new = Request::new(Kind::Rollback, "new");
    env.sandbox.put(new.ready_connector());
    env.apply(&new.manifest()).await;
    assert_eq!(env.get(new.kind, &new.name).await.status(), &json!({"observedGeneration": -1}));

    let _again = env.start(Flags::fast_retries()).await;

    env.wait_for(&new, "RolledBack").await;
    env.annotate_retry(&lost, &from_now(0)).await;
    let done = env.wait_for(&lost, "RolledBack").await;
    assert_eq!((done.attempts(), &done.operation()["evidence"]), (1, &json!("ObservedChange")));
    env.settle().await;
    let still = env.get(asleep.kind, &asleep.name).await;
    assert_eq!(still.resource_version(), sleeping.resource_version());
}
