//! Deletion in each phase: it undoes nothing and begins nothing, and the outcome of a call under way is reported.

use std::time::Instant;

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use serde_json::{Value, json};

use cde_harness::{Kind, LIMIT, Object, Operator, POLL, Request, TestEnv, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

fn locked(seconds: u32) -> Fault {
    Fault::on(Operation::Changing).answer(423).header("retry-after", seconds.to_string())
}

/// Returns the log line about an object that was deleted while its call was under way.
async fn deletion_log_line(operator: &Operator, uid: &str) -> Value {
    let begun = Instant::now();
    loop {
        let log = operator.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(line) = lines.into_iter().find(|line| line["uid"] == uid) {
            return line;
        }
        assert!(begun.elapsed() < LIMIT, "no line about {uid}:\n{log}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_request_that_is_deleted_before_it_starts_or_while_it_waits_is_not_called() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let asleep = BOTH.map(|kind| Request::new(kind, "asleep"));
    let waiting = BOTH.map(|kind| env.request(kind, "waiting", locked(3)));
    for request in &asleep {
        env.sandbox.put(request.ready_connector());
    }
    let suspended = asleep.iter().map(|request| request.manifest().spec("suspend", true));
    env.apply_all(waiting.iter().map(Request::manifest).chain(suspended)).await;
    let phases = waiting.iter().map(|it| (it, "Retrying")).chain(asleep.iter().map(|it| (it, "Suspended")));
    for (request, reason) in phases {
        env.wait_for(request, reason).await;
        env.delete(request.kind, &request.name).await;
    }

    env.settle_after(4).await;
    for request in &asleep {
        assert_eq!(env.sandbox.calls(Operation::Changing, request.id).len(), 0, "{}", request.name);
    }
    for request in &waiting {
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_rollback_deleted_during_its_read_is_not_called_and_delays_no_other() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [gone, marker, other] = ["gone", "marker", "other"].map(|what| Request::new(Kind::Rollback, what));
    for request in [&gone, &marker, &other] {
        env.sandbox.put(request.ready_connector());
    }
    let mut read = env.sandbox.hold(Operation::Read, gone.id, HoldPoint::BeforeEffect);
    env.apply(&gone.manifest()).await;
    read.arrived().await.expect("a read");
    env.delete(gone.kind, &gone.name).await;
    // An operator that sees this one has seen the deletion before it.
    env.apply(&marker.manifest()).await;
    env.wait_for(&marker, "RolledBack").await;

    read.release();

    env.apply(&other.manifest()).await;
    env.wait_for(&other, "RolledBack").await;
    assert_eq!(env.attempts(&gone).len(), 0);
}

/// Deletes a request of this kind while its call is under way, and returns the log line.
async fn delete_meanwhile(env: &TestEnv, operator: &Operator, request: &Request) -> Value {
    let mut held = env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect);
    env.apply(&request.manifest()).await;
    held.arrived().await.expect("an attempt");
    let object = env.wait_for(request, "InProgress").await;
    env.delete(request.kind, &request.name).await;
    held.release();
    let line = deletion_log_line(operator, object.metadata()["uid"].as_str().expect("a uid")).await;
    assert_eq!(line["operation"], object.operation()["id"], "{line}");
    assert!(line.to_string().contains(&request.name), "{line}");
    line
}

#[tokio::test]
async fn the_outcome_of_a_call_for_a_deleted_object_goes_to_the_log_and_an_event() {
    let (env, operator) = TestEnv::with_fast_retries().await;
    for kind in BOTH {
        let done = Request::new(kind, "done");
        env.sandbox.put(done.ready_connector());
        let refused = env.request(kind, "refused", Fault::on(Operation::Changing).answer(403));
        for (request, outcome, reason) in
            [(&done, "Succeeded", done.success()), (&refused, "Failed", "AccessDenied")]
        {
            let line = delete_meanwhile(&env, &operator, request).await;
            assert_eq!((&line["outcome"], &line["reason"]), (&json!(outcome), &json!(reason)), "{line}");
            let told = env.until_events(&request.name, 1).await;
            assert_eq!(told[0].1, reason, "{told:?}");
        }
    }
    assert!(
        !operator.log().contains("\"level\":\"ERROR\""),
        "a deleted object is not an error:\n{}",
        operator.log()
    );
}

#[tokio::test]
async fn an_unknown_effect_of_a_deleted_request_gets_a_warning_and_no_further_call() {
    let (env, operator) = TestEnv::with_fast_retries().await;
    for kind in BOTH {
        let lost = env.request(kind, "lost", Fault::on(Operation::Changing).answer(500).after_effect());
        let locked = env.request(kind, "locked", Fault::on(Operation::Changing).answer(423));
        for (request, code) in [(&lost, 500), (&locked, 423)] {
            let line = delete_meanwhile(&env, &operator, request).await;
            assert_eq!((&line["code"], &line["outcome"]), (&json!(code), &Value::Null), "{line}");
        }
        let told = env.until_events(&lost.name, 1).await;
        assert_eq!((told[0].0.as_str(), told[0].1.as_str()), ("Warning", "OutcomeUnknown"), "{told:?}");
        assert!(told[0].2.contains("the CDE API answered 500"), "{told:?}");
        env.settle().await;
        assert_eq!(env.events(&locked.name).await, [], "without an effect there is nothing to report");
        assert_eq!((env.attempts(&lost).len(), env.attempts(&locked).len()), (1, 1));
    }
}

#[tokio::test]
async fn no_attempt_begins_while_a_finalizer_keeps_a_deleted_request() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = BOTH.map(|kind| env.request(kind, "kept", locked(3600)));
    env.apply_all(requests.each_ref().map(|request| request.manifest().finalizer())).await;
    for request in &requests {
        env.wait_for(request, "Retrying").await;
        env.delete(request.kind, &request.name).await;
        // Its wait ends now.
        env.annotate_retry(request, &from_now(0)).await;
    }

    env.settle().await;
    for request in &requests {
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
        let kept = env.get(request.kind, &request.name).await;
        assert!(kept.metadata()["deletionTimestamp"].is_string());
    }
}

#[tokio::test]
async fn a_call_is_recorded_while_a_finalizer_keeps_its_deleted_request() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for kind in BOTH {
        let request = Request::new(kind, "kept");
        env.sandbox.put(request.ready_connector());
        let mut held = env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect);
        env.apply(&request.manifest().finalizer()).await;
        held.arrived().await.expect("an attempt");
        env.delete(kind, &request.name).await;
        held.release();

        let done = env.wait_for(&request, request.success()).await;

        assert!(done.metadata()["deletionTimestamp"].is_string());
    }
}

#[tokio::test]
async fn an_unknown_effect_is_verified_while_a_finalizer_keeps_the_deleted_request() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let lost = Fault::on(Operation::Rollback).answer(500).header("retry-after", "3600");
    let shows = env.request(Kind::Rollback, "shows", lost.clone().after_effect());
    let hides = env.request(Kind::Rollback, "hides", lost);
    env.apply_all([&shows, &hides].map(|request| request.manifest().finalizer())).await;
    for request in [&shows, &hides] {
        env.wait_for(request, "Verifying").await;
        env.delete(request.kind, &request.name).await;
        env.annotate_retry(request, &from_now(0)).await;
    }

    let done = env.wait_for(&shows, "RolledBack").await;

    assert_eq!(done.operation()["evidence"], json!("ObservedChange"));
    env.settle().await;
    assert_eq!(env.attempts(&hides).len(), 1, "no attempt follows");
    let open = |object: &Object| object.status()["outcome"].is_null();
    assert!(open(&env.get(hides.kind, &hides.name).await));
}
