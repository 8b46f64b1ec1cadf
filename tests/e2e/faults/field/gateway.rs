//! A gateway in front of the CDE API refuses calls in JSON with its own message. This ends no request, unless it
//! lasts.

use cde_sandbox::cde::{Fault, Operation};
use jiff::SignedDuration;
use serde_json::json;

use super::{events, metric, warnings};
use crate::faults::request::{Request, apply, both};
use cde_harness::{Flags, TestEnv};

/// Refusals with messages that the CDE does not document for the code, and the reason of each if it lasts.
pub(super) const REFUSALS: [(u16, &str, &str); 8] = [
    (404, "no Route matched with those values", "NotFound"),
    (403, "Forbidden", "AccessDenied"),
    (400, "Bad request", "OperationNotAllowed"),
    (405, "Method not allowed", "RequestRejected"),
    (410, "Gone", "RequestRejected"),
    (422, "Unprocessable entity", "RequestRejected"),
    // The message of another code.
    (403, "Connector not found.", "AccessDenied"),
    (404, "Access denied for user.", "NotFound"),
];

/// Returns a fault that gives this response to calls of `operation`.
pub(super) fn says(operation: Operation, code: u16, message: &str) -> Fault {
    Fault::on(operation).answer(code).body(json!({"message": message, "errors": []}).to_string())
}

/// Returns flags with fast retries that confirm no refusal during a test.
pub(super) fn doubting() -> Flags {
    Flags::fast_retries().with("--retry-max", "1h")
}

/// Requests of both kinds that the gateway refuses, with the code, the message, and the reason if it lasts.
type Case = ([Request; 2], (u16, &'static str, &'static str));

/// Returns requests for each refusal, whose calls get a response that `fault` builds.
fn refused(env: &TestEnv, fault: impl Fn(Fault) -> Fault) -> Vec<Case> {
    let case = |(number, refusal): (usize, &(u16, &'static str, &'static str))| {
        let requests = both(&env.sandbox, &format!("r{number}-{}", refusal.0));
        for request in &requests {
            let answer = says(Operation::Changing, refusal.0, refusal.1).connector(request.id);
            env.sandbox.inject(fault(answer));
        }
        (requests, *refusal)
    };
    REFUSALS.iter().enumerate().map(case).collect()
}

/// Fault 43: on calls.
#[tokio::test]
async fn a_gateway_that_refuses_calls_for_a_while_ends_no_request_and_is_logged() {
    let env = TestEnv::new().await;
    let mut operator = env.start(doubting()).await;
    let cases = refused(&env, |fault| fault.times(4));
    let all: Vec<Request> = cases.iter().flat_map(|(requests, _)| requests.clone()).collect();
    apply(&env, &all).await;

    for request in &all {
        let end = request.succeeds(&env).await;
        assert_eq!(end.operation()["evidence"], "Response", "{end:#?}");
        assert_eq!(end.operation()["unknownAttempts"].as_u64().unwrap_or_default(), 0, "{end:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 5, "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
    }
    env.flush_events().await;
    for request in &all {
        let events = events(&env, request).await;
        assert_eq!(events.len(), 2, "a first wait and an end: {events:#?}");
    }

    for (_, (code, message, _)) in &cases {
        let same = REFUSALS.iter().filter(|one| one.0 == *code).count();
        let code = code.to_string();
        let counted = metric(&mut operator, "cde_api_unconfirmed_refusals_total", &[("code", &code)]).await;
        assert_eq!(counted, Some(f64::from(u32::try_from(2 * 4 * same).unwrap())), "{code}");
        let lines = warnings(&operator, &[&code, message]);
        assert!((1..=2).contains(&lines.len()), "one line for each request at most: {lines:#?}");
    }
}

/// Fault 43: what the gateway says is true after all.
#[tokio::test]
async fn a_lasting_refusal_with_an_undocumented_message_is_confirmed() {
    let env = TestEnv::new().await;
    // Two seconds are a fifth of it, and stored times have whole seconds.
    let _operator = env.start(Flags::fast_retries().with("--retry-max", "10s")).await;
    let cases = refused(&env, Fault::always);
    let all: Vec<Request> = cases.iter().flat_map(|(requests, _)| requests.clone()).collect();
    apply(&env, &all).await;

    for (requests, (code, message, reason)) in &cases {
        for request in requests {
            let end = request.wait_for_reason(&env, reason).await;
            assert_eq!(end.last_error()["code"], *code, "{end:#?}");
            assert!(end.message().contains(message), "{end:#?}");
            let calls = request.calls(&env.sandbox);
            assert!((3..=12).contains(&calls.len()), "{} calls for {}", calls.len(), request.name);
            let lasted = calls.last().unwrap().at.duration_since(calls[0].at);
            assert!(lasted >= SignedDuration::from_millis(1000), "{} after {lasted}", request.name);
            assert_eq!(env.sandbox.effects(request.id), 0, "{}", request.name);
        }
    }
}

/// Fault 43: only refusals with the same code, in a row, count.
#[tokio::test]
async fn different_or_interrupted_refusals_are_not_confirmed() {
    let env = TestEnv::new().await;
    // A fifth of a second would be enough.
    let flags = Flags::fast_retries().with("--retry-min", "1s").with("--retry-max", "1s");
    let _operator = env.start(flags).await;
    let rows: [(&str, &[u16]); 3] = [
        ("by-turns", &[404, 403, 404, 403, 404, 403]),
        ("locked", &[404, 404, 423, 404, 404]),
        ("in-html", &[403, 403, 502, 403, 403]),
    ];
    let mut all = Vec::new();
    for (name, codes) in rows {
        for request in both(&env.sandbox, name) {
            for code in codes {
                let fault = match code {
                    423 | 502 => Fault::on(Operation::Changing).answer(*code).html(),
                    _ => says(Operation::Changing, *code, "Forbidden"),
                };
                env.sandbox.inject(fault.connector(request.id));
            }
            all.push((request, codes.len()));
        }
    }
    apply(&env, &all.iter().map(|(request, _)| request.clone()).collect::<Vec<_>>()).await;

    for (request, refusals) in &all {
        request.succeeds(&env).await;
        assert_eq!(request.calls(&env.sandbox).len(), refusals + 1, "{}", request.name);
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", request.name);
    }
}

/// Fault 43: the CDE itself refuses.
#[tokio::test]
async fn a_refusal_with_a_documented_message_is_final_at_once() {
    let env = TestEnv::new().await;
    let mut operator = env.start(doubting()).await;
    let documented = [
        (403, "Access denied for user.", "AccessDenied"),
        (403, " ACCESS denied for user ", "AccessDenied"),
        (404, "Connector not found.", "NotFound"),
        (404, "connector does not have specified version", "NotFound"),
        (
            400,
            "Operation is only allowed for connectors that were previously synchronized to production",
            "OperationNotAllowed",
        ),
        (
            400,
            "operation is only allowed for connectors that were previously synchronized to production.\n",
            "OperationNotAllowed",
        ),
    ];
    let mut all = Vec::new();
    for (number, (code, message, reason)) in documented.iter().enumerate() {
        for request in both(&env.sandbox, &format!("d{number}")) {
            env.sandbox.inject(says(Operation::Changing, *code, message).connector(request.id));
            all.push((request, *reason));
        }
    }
    apply(&env, &all.iter().map(|(request, _)| request.clone()).collect::<Vec<_>>()).await;

    for (request, reason) in &all {
        request.wait_for_reason(&env, reason).await;
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", request.name);
    }

    let doubted = metric(&mut operator, "cde_api_unconfirmed_refusals_total", &[]).await;
    assert_eq!(doubted.unwrap_or_default().to_string(), "0");
}
