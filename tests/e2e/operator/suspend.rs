//! `spec.suspend`: no new attempt begins, whatever the phase of the request.

use cde_sandbox::cde::{Connector, Fault, HoldPoint, Operation};
use serde_json::{Value, json};

use cde_harness::{Kind, Object, Request, TestEnv, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// Sets `spec.suspend`, as a user does.
async fn suspend(env: &TestEnv, request: &Request, suspended: bool) {
    env.patch(request, json!({"spec": {"suspend": suspended}})).await;
}

#[tokio::test]
async fn a_suspended_request_calls_nothing_until_it_is_resumed() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = BOTH.map(|kind| Request::new(kind, "asleep"));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
    }
    env.apply_all(requests.each_ref().map(|it| it.manifest().spec("suspend", true))).await;
    for request in &requests {
        let waiting = env.wait_for(request, "Suspended").await;
        assert_eq!(waiting.attempts(), 0);
        assert_eq!(waiting.operation()["server"], Value::Null);
    }
    env.settle().await;
    for request in &requests {
        assert_eq!(env.sandbox.calls(Operation::Changing, request.id).len(), 0, "{}", request.name);
        assert_eq!(env.sandbox.calls(Operation::Read, request.id).len(), 1, "one read for the preview");
        suspend(&env, request, false).await;
    }

    for request in &requests {
        let done = env.wait_for(request, request.success()).await;
        assert_eq!(done.attempts(), 1);
        let told: Vec<_> =
            env.until_events(&request.name, 2).await.into_iter().map(|it| (it.0, it.1)).collect();
        let expected =
            ["Suspended", request.success()].map(|reason| ("Normal".to_owned(), reason.to_owned()));
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn a_request_suspended_during_a_wait_begins_no_attempt_after_the_wait() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let locked = Fault::on(Operation::Changing).answer(423).header("retry-after", "3600");
    let requests = BOTH.map(|kind| env.request(kind, "dozing", locked.clone()));
    env.apply_all(requests.each_ref().map(Request::manifest)).await;
    let mut retrying = Vec::new();
    for request in &requests {
        retrying.push(env.wait_for(request, "Retrying").await);
        suspend(&env, request, true).await;
    }
    for (request, retrying) in requests.iter().zip(&retrying) {
        let waiting = env.wait_for(request, "Suspended").await;
        let since = |object: &Object| object.condition("Ready")["lastTransitionTime"].clone();
        assert_eq!(since(&waiting), since(retrying), "Ready has been Unknown since then, with any reason");
        assert_eq!((waiting.attempts(), &waiting.last_error()["code"]), (1, &json!(423)));
        // Its wait ends now.
        env.annotate_retry(request, &from_now(0)).await;
    }
    env.settle().await;
    for request in &requests {
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
        suspend(&env, request, false).await;
    }

    for request in &requests {
        assert_eq!(env.wait_for(request, request.success()).await.attempts(), 2);
    }
}

#[tokio::test]
async fn a_call_under_way_is_finished_and_recorded_when_the_request_is_suspended() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for kind in BOTH {
        let request = Request::new(kind, "at-work");
        env.sandbox.put(request.ready_connector());
        let mut held = env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect);
        env.apply(&request.manifest()).await;
        held.arrived().await.expect("an attempt");
        suspend(&env, &request, true).await;
        held.release();

        let done = env.wait_for(&request, request.success()).await;

        assert_eq!(done.attempts(), 1);
        assert_eq!(env.sandbox.effects(request.id), 1);
    }
}

#[tokio::test]
async fn a_suspended_request_verifies_an_unknown_effect_and_starts_no_attempt() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let lost = Fault::on(Operation::Rollback).answer(500).header("retry-after", "3600");
    let shows = env.request(Kind::Rollback, "shows", lost.clone().after_effect());
    let hides = env.request(Kind::Rollback, "hides", lost);
    env.apply_all([&shows, &hides].map(Request::manifest)).await;
    for request in [&shows, &hides] {
        env.wait_for(request, "Verifying").await;
        suspend(&env, request, true).await;
        // The wait before the verification ends now.
        env.annotate_retry(request, &from_now(0)).await;
    }

    let done = env.wait_for(&shows, "RolledBack").await;
    assert_eq!(done.operation()["evidence"], "ObservedChange");
    env.wait_for(&hides, "Suspended").await;
    env.settle().await;
    assert_eq!(env.attempts(&hides).len(), 1);
    suspend(&env, &hides, false).await;
    assert_eq!(env.wait_for(&hides, "RolledBack").await.attempts(), 2);
    assert_eq!((env.sandbox.effects(shows.id), env.sandbox.effects(hides.id)), (1, 1));
}

#[tokio::test]
async fn suspended_time_counts_toward_the_deadline() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = Request::new(Kind::Restore, "overslept");
    env.sandbox.put(request.ready_connector());
    let manifest = request.manifest().spec("suspend", true).spec("deadlineSeconds", 2);
    env.apply(&manifest).await;

    env.wait_for(&request, "DeadlineExceeded").await;

    assert_eq!(env.sandbox.calls(Operation::Changing, request.id).len(), 0);
}

#[tokio::test]
async fn an_edit_of_a_suspended_request_is_observed() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = Request::new(Kind::Restore, "asleep");
    env.apply(&request.manifest().spec("suspend", true)).await;
    env.wait_for(&request, "Suspended").await;

    env.patch(&request, json!({"spec": {"deadlineSeconds": 600}})).await;

    assert_eq!(env.wait_for_generation(&request, 2).await.reason(), "Suspended");
}

fn status_writes(env: &TestEnv, request: &Request) -> usize {
    env.operator_writes(&request.name).iter().filter(|event| event.verb == "update").count()
}

/// Waits until the previews of suspended requests have the expected messages.
async fn previewed(env: &TestEnv, cases: &[(&Request, &str)]) {
    env.apply_all(cases.iter().map(|(it, _)| it.manifest().spec("suspend", true))).await;
    for (request, expected) in cases {
        let object = env.wait_for(request, "Suspended").await;
        assert_eq!(object.message(), format!("Suspended. {expected}"), "{}", request.name);
    }
    env.settle().await;
    for (request, _) in cases {
        assert_eq!(env.sandbox.calls(Operation::Changing, request.id).len(), 0, "{}", request.name);
        assert_eq!(status_writes(env, request), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_suspended_request_shows_what_it_would_do() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [ready, absent, denied] =
        ["ready", "absent", "denied"].map(|what| Request::new(Kind::Rollback, what));
    let [binned, live] = ["binned", "live"].map(|what| Request::new(Kind::Restore, what));
    env.sandbox.put(ready.ready_connector().name("Shop"));
    env.sandbox.put(absent.ready_connector().main(7));
    env.sandbox.put(denied.ready_connector().reading_forbidden());
    env.sandbox.put(binned.ready_connector().name("Shop").readable_in_bin());
    env.sandbox.put(Connector::migrated(live.id).name("Shop"));
    let cases = [
        (&ready, "Would roll back version 1.0.0 of Shop (production executable 25, legacy 24)."),
        (&absent, "Would be refused: the connector has no version 7."),
        (&denied, "The connector cannot be read: access denied."),
        (&binned, "Would restore the connector Shop from the bin."),
        (&live, "Would do nothing: the connector Shop is not in the bin."),
    ];
    previewed(&env, &cases).await;
    let object = env.get(ready.kind, &ready.name).await;
    assert_eq!(object.status()["before"]["executables"], json!({"legacy": 24, "production": 25}));
    assert_eq!(object.status()["connector"]["name"], "Shop");
}

#[tokio::test]
async fn a_retry_repeats_the_preview_and_the_read_before_the_claim_decides() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = Request::new(Kind::Rollback, "moving");
    env.sandbox.put(request.ready_connector());
    env.apply(&request.manifest().spec("suspend", true)).await;
    env.wait_for(&request, "Suspended").await;
    let mut connector = env.sandbox.get(request.id).expect("the connector");
    connector.versions[0].production = Some(77);
    env.sandbox.put(connector);

    env.annotate_retry(&request, &from_now(0)).await;
    let newer = |object: &Object| object.message().contains("production executable 77");
    env.wait_until(request.kind, &request.name, "previewed again", newer).await;
    let mut connector = env.sandbox.get(request.id).expect("the connector");
    connector.versions[0].production = Some(78);
    env.sandbox.put(connector);
    suspend(&env, &request, false).await;

    let done = env.wait_for(&request, "RolledBack").await;
    assert_eq!(done.status()["before"]["executables"]["production"], 78, "the read before the claim decides");
}

#[tokio::test]
async fn an_outage_delays_a_preview_and_costs_one_write_more() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests: Vec<Request> =
        (0..8).map(|n| Request::new(Kind::Rollback, &format!("early-{n}"))).collect();
    for request in &requests {
        env.sandbox.put(request.ready_connector());
    }
    env.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    env.apply_all(requests.iter().map(|it| it.manifest().spec("suspend", true))).await;
    for request in &requests {
        env.wait_for(request, "Suspended").await;
    }
    env.sandbox.clear_faults();
    for request in &requests {
        let shown = |object: &Object| object.message().starts_with("Suspended. Would roll back");
        env.wait_until(request.kind, &request.name, "previewed", shown).await;
        assert!(status_writes(&env, request) <= 2, "{}", request.name);
    }
}
