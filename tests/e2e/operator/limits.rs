//! The time limits `notAfter`, `deadlineSeconds` and `--deadline`, and stale requests.

use cde_sandbox::cde::{Fault, HoldPoint, Operation, RollbackEffect};
use serde_json::{Value, json};

use cde_harness::{Flags, Kind, Object, Request, TestEnv, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// Returns a fault that lets no attempt succeed and shows that it had no effect.
fn locked() -> Fault {
    Fault::on(Operation::Changing).answer(423).always()
}

#[tokio::test]
async fn a_request_past_its_not_after_expires_before_anything_is_called() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = BOTH.map(|kind| Request::new(kind, "late"));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest().spec("notAfter", from_now(-3600))).await;
    }

    for request in &requests {
        let failed = env.wait_for(request, "Expired").await;
        assert!(
            failed.message().starts_with("Expired: no attempt succeeded before 2"),
            "{}",
            failed.message()
        );
        assert_eq!(failed.attempts(), 0);
        assert_eq!(env.sandbox.calls(Operation::Any, request.id).len(), 0);
        let told = env.until_events(&request.name, 1).await;
        assert_eq!((told.len(), told[0].1.as_str()), (1, "Expired"), "{told:?}");
    }
}

#[tokio::test]
async fn a_request_that_reaches_its_limit_while_waiting_fails_with_its_last_error() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let not_after = |request: &Request| request.manifest().spec("notAfter", from_now(3));
    let seconds = |request: &Request| request.manifest().spec("deadlineSeconds", 2);
    let mut cases = Vec::new();
    for kind in BOTH {
        let [late, slow] = ["late", "slow"].map(|what| env.request(kind, what, locked()));
        env.apply_all([not_after(&late), seconds(&slow)]).await;
        cases.push((late, "Expired"));
        cases.push((slow, "DeadlineExceeded"));
    }

    let mut calls = Vec::new();
    for (request, reason) in &cases {
        let failed = env.wait_for(request, reason).await;
        assert!(
            failed.message().ends_with("Last error: the CDE API answered 423: Locked."),
            "{}",
            failed.message()
        );
        assert_eq!(failed.last_error()["code"], 423, "{}", request.name);
        calls.push(env.attempts(request).len());
        assert_eq!(calls.last().map(|calls| *calls as u64), Some(failed.attempts()), "{}", request.name);
    }
    env.settle().await;
    let later: Vec<usize> = cases.iter().map(|(request, _)| env.attempts(request).len()).collect();
    assert_eq!(later, calls);
}

#[tokio::test]
async fn the_deadline_flag_applies_to_objects_without_a_deadline() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries().with("--deadline", "2s")).await;
    let [without, with] = ["without", "with"].map(|what| env.request(Kind::Restore, what, locked()));
    let own = with.manifest().spec("deadlineSeconds", 3600);
    env.apply_all([own, without.manifest()]).await;

    let failed = env.wait_for(&without, "DeadlineExceeded").await;
    assert!(
        failed.message().starts_with("Deadline exceeded: no attempt succeeded before 2"),
        "{}",
        failed.message()
    );

    env.sandbox.clear_faults();
    env.wait_for(&with, "Restored").await;
}

#[tokio::test]
async fn a_request_without_a_deadline_continues() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries().with("--deadline", "0")).await;
    let request = env.request(Kind::Restore, "endless", locked().times(2));
    env.apply(&request.manifest()).await;

    let done = env.wait_for(&request, "Restored").await;

    assert_eq!(done.attempts(), 3);
}

#[tokio::test]
async fn a_call_under_way_at_the_limit_is_finished_and_recorded() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = BOTH.map(|kind| Request::new(kind, "just-in-time"));
    let mut held = Vec::new();
    for request in &requests {
        env.sandbox.put(request.ready_connector());
        held.push(env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect));
    }
    env.apply_all(requests.each_ref().map(|it| it.manifest().spec("notAfter", from_now(3)))).await;
    for held in &mut held {
        held.arrived().await.expect("an attempt");
    }
    let late = env.request(Kind::Restore, "late", locked());
    env.apply(&late.manifest().spec("notAfter", from_now(3))).await;
    env.wait_for(&late, "Expired").await;

    held.into_iter().for_each(cde_sandbox::cde::Held::release);

    for request in &requests {
        let done = env.wait_for(request, request.success()).await;
        assert_eq!(done.attempts(), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn an_unknown_effect_is_verified_after_the_limit_and_no_attempt_follows() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let lost = || Fault::on(Operation::Rollback).answer(500).header("retry-after", "3");
    let [shows, hides, moves] = ["shows", "hides", "moves"].map(|what| Request::new(Kind::Rollback, what));
    for request in [&shows, &hides, &moves] {
        env.sandbox.put(request.ready_connector());
    }
    env.sandbox.put(moves.ready_connector().on_rollback(RollbackEffect::Moving));
    env.sandbox.inject(lost().connector(shows.id).after_effect());
    env.sandbox.inject(lost().connector(hides.id));
    env.sandbox.inject(lost().connector(moves.id).after_effect());
    env.apply_all([&shows, &hides, &moves].map(|it| it.manifest().spec("deadlineSeconds", 2))).await;

    let done = env.wait_for(&shows, "RolledBack").await;
    assert_eq!(done.operation()["evidence"], "ObservedChange");
    env.wait_for(&hides, "DeadlineExceeded").await;
    let failed = env.wait_for(&moves, "OutcomeUnknown").await;
    assert!(failed.message().contains("resynchronizing-to-prod"), "{}", failed.message());
    for request in [&shows, &hides, &moves] {
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_stale_request_is_skipped_with_a_warning_and_cannot_be_retried() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = BOTH.map(|kind| Request::new(kind, "of-last-year"));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest().spec("notAfter", from_now(-2 * 24 * 3600))).await;
    }
    let mut records: Vec<Object> = Vec::new();
    for request in &requests {
        let skipped = env.wait_for(request, "Skipped").await;
        assert!(skipped.message().starts_with("Skipped as stale"), "{}", skipped.message());
        assert_eq!(skipped.operation()["server"], Value::Null);
        records.push(skipped);
    }

    for request in &requests {
        env.annotate_retry(request, &from_now(0)).await;
        env.patch(request, json!({"spec": {"notAfter": from_now(3600)}})).await;
    }

    env.settle().await;
    for (request, record) in requests.iter().zip(&records) {
        assert_eq!(env.get(request.kind, &request.name).await.status(), record.status());
        assert_eq!(env.sandbox.calls(Operation::Any, request.id).len(), 0);
        let told = env.events(&request.name).await;
        assert_eq!(told, [("Warning".to_owned(), "Skipped".to_owned(), record.message().to_owned())]);
    }
}

#[tokio::test]
async fn an_object_created_less_than_a_day_after_its_not_after_is_not_stale() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = Request::new(Kind::Rollback, "of-yesterday");
    env.sandbox.put(request.ready_connector());
    env.apply(&request.manifest().spec("notAfter", from_now(-23 * 3600))).await;

    env.wait_for(&request, "Expired").await;
}
