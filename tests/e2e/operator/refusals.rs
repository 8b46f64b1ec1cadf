//! Final refusals of the CDE API: the request fails, says why, and is never repeated by itself.

use cde_sandbox::cde::{Connector, Fault, Operation, Version};
use serde_json::{Value, json};

use cde_harness::{Kind, Request, TestEnv};

/// The message in the API reference.
const NEVER_SYNCHRONIZED: &str =
    "Operation is only allowed for connectors that were previously synchronized to production";

struct Case {
    request: Request,
    /// Number of calls until the refusal is confirmed.
    calls: u64,
    reason: &'static str,
    code: u16,
    message: String,
}

impl Case {
    fn new(kind: Kind, what: &str, reason: &'static str, code: u16, message: &str) -> Self {
        Self { request: Request::new(kind, what), calls: 1, reason, code, message: message.to_owned() }
    }
}

/// Returns what the sandbox refuses by itself, as in the API reference.
fn documented(env: &TestEnv) -> Vec<Case> {
    use Kind::{Restore, Rollback};
    let unknown = Case::new(Restore, "unknown", "NotFound", 404, "Connector not found.");
    let hidden = Case::new(Restore, "denied", "AccessDenied", 403, "Access denied for user.");
    let denied = Case::new(Rollback, "denied", "AccessDenied", 403, "Access denied for user.");
    for case in [&hidden, &denied] {
        env.sandbox.put(case.request.ready_connector().forbidden());
    }
    let nowhere =
        Case::new(Rollback, "unknown", "NotFound", 404, "Connector does not have specified version.");
    let never = Case::new(Rollback, "never-synchronized", "OperationNotAllowed", 400, NEVER_SYNCHRONIZED);
    env.sandbox.put(Connector::live(never.request.id).version(Version::default()).main(1));
    vec![unknown, hidden, denied, nowhere, never]
}

/// Returns refusals with undocumented messages, which are confirmed when they last.
fn injected(env: &TestEnv) -> Vec<Case> {
    let said = |errors: Value| Some(json!({"message": "No.", "errors": errors}));
    let fields = said(json!({"one": "is bad", "two": "is worse"}));
    let shown = "No. (one: is bad; two: is worse)";
    let answers = [
        ("bare", 400, "Bad Request", "OperationNotAllowed", Some(json!({"message": "Bad Request"}))),
        ("list", 400, "No.", "OperationNotAllowed", said(json!([]))),
        ("full-list", 400, "No.", "OperationNotAllowed", said(json!(["one is bad", {"two": 2}, null]))),
        ("object", 400, shown, "OperationNotAllowed", fields.clone()),
        ("odd-object", 400, "No.", "OperationNotAllowed", said(json!({"one": null, "two": ["is worse"]}))),
        ("null", 400, "No.", "OperationNotAllowed", said(Value::Null)),
        ("text", 400, "No.", "OperationNotAllowed", said(json!("bad"))),
        ("405", 405, "Method Not Allowed", "RequestRejected", None),
        ("410", 410, "Gone", "RequestRejected", None),
        ("422", 422, shown, "RequestRejected", fields),
        ("451", 451, "Unavailable For Legal Reasons", "RequestRejected", None),
    ];
    let mut cases = Vec::new();
    for kind in [Kind::Restore, Kind::Rollback] {
        for (what, code, message, reason, body) in answers.clone() {
            let case = Case { calls: 3, ..Case::new(kind, what, reason, code, message) };
            env.sandbox.put(case.request.ready_connector());
            let fault = Fault::on(Operation::Changing).connector(case.request.id).answer(code).always();
            env.sandbox.inject(match body {
                Some(body) => fault.body(body.to_string()),
                None => fault,
            });
            cases.push(case);
        }
    }
    cases
}

/// Faults 26 and 27.
#[tokio::test]
async fn a_final_refusal_fails_the_request_with_its_reason_and_is_reported_only_once() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let mut cases = documented(&env);
    cases.extend(injected(&env));
    env.apply_all(cases.iter().map(|case| case.request.manifest())).await;

    let mut failed = Vec::new();
    for Case { request, reason, code, message, calls } in &cases {
        let (object, name) = (env.wait_for(request, reason).await, &request.name);
        let error = object.last_error();
        assert_eq!(error["code"], *code, "{name}");
        assert_eq!(error["reason"], *reason, "{name}");
        assert_eq!(error["message"], *message, "{name}");
        assert!(error["time"].is_string(), "{name}");
        assert!(object.message().contains(message), "{name}: {}", object.message());
        assert_eq!(object.attempts(), *calls, "{name}");
        assert_eq!(object.operation()["evidence"], Value::Null, "{name}");
        failed.push(object);
    }
    env.settle().await;
    for (Case { request, reason, calls: expected, .. }, object) in cases.iter().zip(&failed) {
        let (calls, name) = (env.attempts(request), &request.name);
        assert_eq!(calls.len() as u64, *expected, "{name} called again: {calls:#?}");
        assert_eq!(env.sandbox.effects(request.id), 0, "{name}");
        let now = env.get(request.kind, name).await;
        assert_eq!(now.resource_version(), object.resource_version(), "{name} was written again");
        let mut told = env.events(name).await;
        let end = told.pop();
        assert_eq!(end, Some(("Warning".to_owned(), (*reason).to_owned(), object.message().to_owned())));
        let waits: Vec<_> = told.iter().map(|(_, reason, _)| reason.as_str()).collect();
        assert_eq!(waits, ["Retrying"][..usize::from(*expected > 1)], "{name}");
    }
}

#[tokio::test]
async fn a_message_of_the_api_is_shown_as_one_short_line_without_control_characters() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [drawing, long] =
        ["drawing", "long"].map(|what| Case::new(Kind::Restore, what, "RequestRejected", 422, ""));
    let refusal = |case: &Case| Fault::on(Operation::Restore).connector(case.request.id).answer(422).always();
    env.sandbox.inject(refusal(&drawing).control_characters());
    env.sandbox.inject(refusal(&long).set("/message", json!("long ".repeat(1000))));
    env.apply_all([drawing.request.manifest(), long.request.manifest()]).await;

    for case in [&drawing, &long] {
        let object = env.wait_for(&case.request, "RequestRejected").await;
        let message = object.last_error()["message"].as_str().expect("a message").to_owned();
        assert!(message.chars().count() <= 512 && !message.chars().any(char::is_control), "{message:?}");
        assert!(!object.message().chars().any(char::is_control), "{:?}", object.message());
        let events = env.until_events(&case.request.name, 2).await;
        assert!(!events.iter().any(|event| event.2.chars().any(char::is_control)), "{events:?}");
    }
}
