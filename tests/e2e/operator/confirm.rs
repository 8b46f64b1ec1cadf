//! A person looks into the CDE and records the outcome of a request of unknown outcome by annotation, without another
//! call.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use cde_harness::{Kind, Object, Request, TestEnv, from_now};

const BOTH: [Kind; 2] = [Kind::Restore, Kind::Rollback];

/// Returns a request of each kind whose effect nobody can determine.
async fn unknown_outcomes(env: &TestEnv, what: &str) -> Vec<(Request, Object)> {
    let mut all = Vec::new();
    for kind in BOTH {
        let request = Request::new(kind, what);
        env.sandbox.put(request.ready_connector());
        let on = |operation| Fault::on(operation).connector(request.id);
        env.sandbox.inject(on(Operation::Changing).answer(500));
        env.sandbox.inject(on(Operation::Changing).answer(403).always());
        if kind == Kind::Rollback {
            env.sandbox.inject(on(Operation::Read).skip(1).answer(403).always());
        }
        env.apply(&request.manifest()).await;
        let object = env.wait_for(&request, "OutcomeUnknown").await;
        all.push((request, object));
    }
    all
}

async fn confirm(env: &TestEnv, request: &Request, value: &str) {
    env.patch(request, json!({"metadata": {"annotations": {"cde.productsup.com/confirm": value}}})).await;
}

fn id(object: &Object) -> &str {
    object.operation()["id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_confirmed_success_turns_the_request_green_and_nothing_is_called() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for (request, unknown) in unknown_outcomes(&env, "done").await {
        let calls = env.sandbox.calls(Operation::Any, request.id).len();
        confirm(&env, &request, &format!("{}:Succeeded", id(&unknown))).await;

        let done = env.wait_for(&request, request.success()).await;

        assert_eq!(done.outcome(), Some("Succeeded"));
        assert_eq!(done.operation()["evidence"], "Confirmed");
        assert!(done.message().starts_with("Confirmed by annotation at 2"), "{}", done.message());
        assert_eq!((id(&done), done.attempts()), (id(&unknown), unknown.attempts()));
        env.annotate_retry(&request, &from_now(0)).await;
        env.settle().await;
        assert_eq!(env.sandbox.calls(Operation::Any, request.id).len(), calls, "{}", request.name);
        let told = env.events(&request.name).await;
        let last = told.last().expect("an Event");
        assert_eq!((last.0.as_str(), last.1.as_str()), ("Normal", request.success()), "{told:?}");
    }
}

#[tokio::test]
async fn a_confirmed_failure_is_a_failure_that_a_retry_opens_again() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for (request, unknown) in unknown_outcomes(&env, "not-done").await {
        let calls = env.sandbox.calls(Operation::Any, request.id).len();
        confirm(&env, &request, &format!("{}:Failed", id(&unknown))).await;
        let failed = env.wait_for(&request, "ConfirmedFailed").await;
        assert_eq!((failed.outcome(), id(&failed)), (Some("Failed"), id(&unknown)));
        env.settle().await;
        assert_eq!(env.sandbox.calls(Operation::Any, request.id).len(), calls, "{}", request.name);

        env.sandbox.clear_faults();
        env.annotate_retry(&request, &from_now(0)).await;

        let done = env.wait_for(&request, request.success()).await;
        assert_ne!(id(&done), id(&unknown), "it is a new request");
        assert_eq!(done.operation()["evidence"], "Response");
    }
}

#[tokio::test]
async fn an_invalid_confirmation_gets_a_warning_that_says_why() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    for (request, unknown) in unknown_outcomes(&env, "mistaken").await {
        let mut count = env.events(&request.name).await.len();
        let another = env.sandbox.token();
        for (value, why) in [
            ("Succeeded".to_owned(), "OPERATION_ID:Succeeded or OPERATION_ID:Failed"),
            (format!("{}:Unknown", id(&unknown)), "OPERATION_ID:Succeeded or OPERATION_ID:Failed"),
            (format!("{another}:Succeeded"), "another request than status.operation.id"),
        ] {
            confirm(&env, &request, &value).await;
            count += 1;
            let told = env.until_events(&request.name, count).await;
            let (type_, reason, note) = told.last().expect("an Event");
            assert_eq!((type_.as_str(), reason.as_str()), ("Warning", "InvalidConfirm"));
            assert!(note.contains(why), "{note}");
        }
        let after = env.get(request.kind, &request.name).await;
        assert_eq!(after.status(), unknown.status());
    }
}
