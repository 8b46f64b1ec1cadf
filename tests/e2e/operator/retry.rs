//! The retry annotation: only an explicit retry starts another request, and only once per time in the annotation.

use cde_sandbox::cde::{Fault, HoldPoint, Operation, RollbackEffect};
use jiff::Timestamp;
use serde_json::{Value, json};

use cde_harness::{Flags, Kind, Object, Request, TestEnv, from_now};

fn refuse(code: u16) -> Fault {
    Fault::on(Operation::Changing).answer(code)
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}

/// Returns requests whose first call the CDE API refuses.
async fn refused_requests(env: &TestEnv) -> Vec<(Request, &'static str)> {
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        for (code, reason) in
            [(400, "OperationNotAllowed"), (403, "AccessDenied"), (404, "NotFound"), (422, "RequestRejected")]
        {
            if (kind, code) != (Kind::Restore, 404) {
                cases.push((env.request(kind, &code.to_string(), refuse(code).always()), reason));
            }
        }
    }
    let unknown = Request::new(Kind::Restore, "404");
    env.apply_all(cases.iter().map(|(request, _)| request.manifest()).chain([unknown.manifest()])).await;
    env.wait_for(&unknown, "NotFound").await;
    // An undocumented refusal is confirmed when it lasts.
    for (request, reason) in &cases {
        env.wait_for(request, reason).await;
    }
    env.sandbox.clear_faults();
    env.sandbox.put(unknown.ready_connector());
    cases.push((unknown, "NotFound"));
    cases
}

/// Returns requests that the operator itself ends, and removes the cause afterwards.
async fn ended_requests(env: &TestEnv) -> Vec<(Request, &'static str)> {
    let [expired, unmet, unknown] =
        ["expired", "unmet", "unknown"].map(|what| Request::new(Kind::Rollback, what));
    let slow = env.request(Kind::Restore, "slow", refuse(423).always());
    env.sandbox.put(expired.ready_connector());
    env.sandbox.put(unmet.ready_connector());
    env.sandbox.put(unknown.ready_connector().on_rollback(RollbackEffect::StateOnly));
    env.sandbox.inject(refuse(500).connector(unknown.id).after_effect());
    env.apply_all([
        expired.manifest().spec("notAfter", from_now(-60)),
        unmet.manifest().spec("preconditions", json!({"state": "built"})),
        unknown.manifest(),
        slow.manifest().spec("deadlineSeconds", 2),
    ])
    .await;
    env.wait_for(&expired, "Expired").await;
    env.wait_for(&unmet, "PreconditionFailed").await;
    env.wait_for(&unknown, "OutcomeUnknown").await;
    env.wait_for(&slow, "DeadlineExceeded").await;
    env.sandbox.clear_faults();
    env.patch(&expired, json!({"spec": {"notAfter": from_now(3600)}})).await;
    env.patch(&unmet, json!({"spec": {"preconditions": null}})).await;
    env.sandbox.put(unknown.ready_connector());
    let ends = ["Expired", "PreconditionFailed", "OutcomeUnknown", "DeadlineExceeded"];
    [expired, unmet, unknown, slow].into_iter().zip(ends).collect()
}

#[tokio::test]
async fn a_retry_opens_every_failure_as_a_new_request_that_counts_from_zero() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let mut cases = refused_requests(&env).await;
    cases.extend(ended_requests(&env).await);
    let mut failed = Vec::new();
    for (request, reason) in &cases {
        failed.push(env.wait_for(request, reason).await);
    }
    let asked = from_now(0);
    for (request, _) in &cases {
        env.annotate_retry(request, &asked).await;
    }

    for ((request, reason), failed) in cases.iter().zip(&failed) {
        let (done, name) = (env.wait_for(request, request.success()).await, &request.name);
        assert_ne!(done.operation()["id"], failed.operation()["id"], "{name}");
        assert_eq!((done.attempts(), &done.operation()["backoffStep"]), (1, &json!(0)), "{name}");
        assert_eq!(done.last_error(), &Value::Null, "{name}");
        assert_eq!(done.operation()["unknownAttempts"], Value::Null, "{name}");
        assert_eq!(time(&done.status()["lastHandledRetry"]), asked.parse().expect("a time"), "{name}");
        assert!(
            time(&done.operation()["startTime"]) >= time(&failed.operation()["completionTime"]),
            "{name}"
        );
        let keys: Vec<_> =
            env.attempts(request).into_iter().filter_map(|call| call.idempotency_key).collect();
        assert_eq!(keys.last().map(String::as_str), done.operation()["id"].as_str(), "{name}");
        let told = env.until_events(name, 2).await;
        let told: Vec<&str> = told.iter().map(|event| event.1.as_str()).collect();
        assert_eq!(
            (told.contains(reason), told.last()),
            (true, Some(&request.success())),
            "{name}: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_retry_with_a_handled_or_older_time_is_ignored() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = env.request(Kind::Rollback, "replayed", refuse(403).always());
    let [first, second, third] = [-60, -30, 0].map(from_now);
    env.apply(&request.manifest().annotation("cde.productsup.com/retry", &first)).await;
    let object = env.wait_for(&request, "AccessDenied").await;
    assert_eq!(time(&object.status()["lastHandledRetry"]), first.parse().expect("a time"));
    env.annotate_retry(&request, &third).await;
    let again =
        |object: &Object| object.status()["lastHandledRetry"] == third && object.reason() == "AccessDenied";
    env.wait_until(request.kind, &request.name, "refused again", again).await;
    assert_eq!(env.attempts(&request).len(), 2);

    for older in [&first, &second, &third] {
        env.annotate_retry(&request, older).await;
    }
    let before = env.get(request.kind, &request.name).await;

    env.settle().await;
    let after = env.get(request.kind, &request.name).await;
    assert_eq!(after.resource_version(), before.resource_version());
    assert_eq!(env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn a_retry_with_an_invalid_time_gets_one_warning_and_is_ignored() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = env.request(Kind::Rollback, "unreadable", refuse(403).always());
    env.apply(&request.manifest()).await;
    let failed = env.wait_for(&request, "AccessDenied").await;
    env.annotate_retry(&request, "now, please").await;
    let told = env.until_events(&request.name, 2).await;
    let (type_, reason, note) = told.last().expect("an Event");
    assert_eq!((type_.as_str(), reason.as_str()), ("Warning", "InvalidRetry"));
    assert!(note.contains("now, please") && note.contains("$(date -u +%FT%TZ)"), "{note}");

    env.patch(&request, json!({"spec": {"deadlineSeconds": 600}})).await;

    env.settle().await;
    assert_eq!(env.events(&request.name).await, told);
    assert_eq!(env.get(request.kind, &request.name).await.status()["outcome"], failed.status()["outcome"]);
    assert_eq!(env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_retry_cuts_a_backoff_short() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for kind in [Kind::Restore, Kind::Rollback] {
        let request = env.request(kind, "impatient", refuse(423).header("retry-after", "3600"));
        env.apply(&request.manifest()).await;
        let waiting = env.wait_for(&request, "Retrying").await;
        env.annotate_retry(&request, &from_now(0)).await;

        let done = env.wait_for(&request, request.success()).await;

        assert_eq!(done.operation()["id"], waiting.operation()["id"], "it is the same request");
        assert_eq!(done.attempts(), 2);
        assert!(done.status()["lastHandledRetry"].is_string());
    }
}

/// Lets the API ask for a wait of 2 s in a response with `code`, and requests a retry at once.
async fn ask_a_limited_api(code: u16) {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = env.request(Kind::Restore, "limited", refuse(code).header("retry-after", "2"));
    env.apply(&request.manifest()).await;
    let waits = |object: &Object| object.operation()["nextAttemptTime"].is_string();
    let waiting = env.wait_until(request.kind, &request.name, "waiting", waits).await;
    env.annotate_retry(&request, &from_now(0)).await;

    let done = env.wait_for(&request, "Restored").await;

    assert!(done.status()["lastHandledRetry"].is_string(), "{code}: it was seen");
    let calls = env.sandbox.calls(Operation::Any, request.id);
    let announced = time(&waiting.operation()["nextAttemptTime"]);
    assert!(calls[1].at >= announced, "{code}: {} is before {announced}", calls[1].at);
}

#[tokio::test]
async fn a_retry_does_not_cut_short_a_wait_that_the_api_asked_for() {
    tokio::join!(ask_a_limited_api(429), ask_a_limited_api(503));
}

#[tokio::test]
async fn a_retry_does_not_cut_short_the_wait_for_a_claim() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries().with("--timeout", "1s")).await;
    let request = env.request(Kind::Rollback, "raced", refuse(504).after_effect());
    env.apply(&request.manifest()).await;
    let waiting = env.wait_for(&request, "Verifying").await;
    env.annotate_retry(&request, &from_now(0)).await;

    env.wait_for(&request, "RolledBack").await;

    let calls = env.sandbox.calls(Operation::Any, request.id);
    let over = time(&waiting.operation()["nextAttemptTime"]);
    assert!(calls[2].at >= over, "the read at {} is before {over}", calls[2].at);
    assert_eq!(env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn a_retry_does_not_change_a_request_that_succeeded() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let requests = [Kind::Restore, Kind::Rollback].map(|kind| Request::new(kind, "done"));
    for request in &requests {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
    }
    let mut records = Vec::new();
    for request in &requests {
        env.wait_for(request, request.success()).await;
        env.annotate_retry(request, &from_now(0)).await;
        records.push(env.get(request.kind, &request.name).await);
    }

    env.settle().await;
    for (request, record) in requests.iter().zip(&records) {
        let now = env.get(request.kind, &request.name).await;
        assert_eq!(now.resource_version(), record.resource_version(), "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
        assert_eq!(env.attempts(request).len(), 1, "{}", request.name);
    }
}

#[tokio::test]
async fn a_retry_during_a_call_is_handled_after_the_outcome_is_recorded() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let request = env.request(Kind::Rollback, "meanwhile", refuse(403));
    let mut held = env.sandbox.hold(Operation::Rollback, request.id, HoldPoint::BeforeEffect);
    env.apply(&request.manifest()).await;
    held.arrived().await.expect("an attempt");
    env.annotate_retry(&request, &from_now(0)).await;
    held.release();

    let done = env.wait_for(&request, "RolledBack").await;

    assert_eq!(done.attempts(), 1, "of the new request");
    let keys: Vec<_> = env.attempts(&request).into_iter().map(|call| call.idempotency_key).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    let told: Vec<_> = env.until_events(&request.name, 2).await.into_iter().map(|event| event.1).collect();
    assert_eq!(told, ["AccessDenied", "RolledBack"]);
}
