//! A retry annotation from a clock that is ahead.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::Value;

use super::events;
use crate::faults::request::{Request, both};
use cde_harness::{Flags, TestEnv, from_now};

/// Returns failed and waiting requests of both kinds, with their reasons.
async fn struck(env: &TestEnv) -> Vec<(Request, &'static str)> {
    let mut all = Vec::new();
    for (name, code, reason) in [("failed", 403, "AccessDenied"), ("waiting", 423, "Retrying")] {
        for request in both(&env.sandbox, name) {
            let fault = Fault::on(Operation::Changing).connector(request.id).answer(code);
            let fault = fault.header("retry-after", "3600");
            let fault =
                if code == 403 { fault.body(r#"{"message": "Access denied for user."}"#) } else { fault };
            env.sandbox.inject(fault);
            all.push((request, reason));
        }
    }
    env.apply_all(all.iter().map(|(request, _)| request.manifest())).await;
    for (request, reason) in &all {
        request.wait_for_reason(env, reason).await;
    }
    all
}

/// Fault 50.
#[tokio::test]
async fn a_retry_too_far_ahead_is_rejected_with_a_reason_and_a_later_one_counts() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let all = struck(&env).await;
    let ahead = from_now(3600);
    for (request, _) in &all {
        request.ask_again(&env, 3600).await;
    }
    env.settle().await;

    for (request, reason) in &all {
        let object = request.get(&env).await;
        assert_eq!(object.reason(), *reason, "{object:#?}");
        assert_eq!(object.status()["lastHandledRetry"], Value::Null, "{object:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", request.name);
        let events = events(&env, request).await;
        let invalid: Vec<_> = events.iter().filter(|event| event.1 == "InvalidRetry").collect();
        assert_eq!(invalid.len(), 1, "{events:#?}");
        let (type_, _, note) = invalid[0];
        assert_eq!(type_, "Warning");
        assert!(note.contains(&ahead[..14]), "the note has the value: {note}");
        let why = ["ahead", "future"].iter().any(|word| note.contains(word));
        assert!(why && note.contains("clock"), "the note has the reason: {note}");
    }

    for (request, _) in &all {
        request.ask_again(&env, 0).await;
        let end = request.succeeds(&env).await;
        assert!(end.status()["lastHandledRetry"].is_string(), "{end:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 2, "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
    }
}

/// Fault 50: clocks may differ a little.
#[tokio::test]
async fn a_retry_from_a_slightly_fast_clock_counts() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    let all = struck(&env).await;
    for (request, _) in &all {
        request.ask_again(&env, 4 * 60).await;
    }

    for (request, _) in &all {
        request.succeeds(&env).await;
        let events = events(&env, request).await;
        assert!(events.iter().all(|event| event.1 != "InvalidRetry"), "{events:#?}");
    }
}
