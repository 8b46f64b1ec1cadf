//! What must never show: the token, and the bodies of responses.

use cde_sandbox::cde::{CutPoint, Fault, Operation, Sandbox};
use serde_json::{Value, json};

use crate::faults::request::{Request, a_restore, a_rollback, apply};
use cde_harness::{Flags, TestEnv};

const TOKEN: &str = "canary-token-5e1f";
/// Part of bodies only.
const BODY: &str = "canary-body-77aa";

/// Returns the response to a call, and the reason that the request then has.
fn fates() -> Vec<(&'static str, Fault, &'static str)> {
    let on = || Fault::on(Operation::Changing);
    let told = format!("Bearer {TOKEN} is bad, {TOKEN}");
    let page = format!("<html>{BODY} {TOKEN}</html>");
    vec![
        ("success", on().times(0), "success"),
        (
            "odd-success",
            on().set("/data/version", json!([BODY])).set("/data/state", json!({BODY: TOKEN})),
            "success",
        ),
        ("refused", on().answer(400).set("/message", json!(told)).always(), "OperationNotAllowed"),
        ("denied", on().answer(403).set("/message", json!(told)).always(), "AccessDenied"),
        ("unauthorized", on().answer(401).set("/message", json!(told)), "success"),
        ("unauthorized-page", on().answer(401).body(&page).header("content-type", "text/html"), "success"),
        ("redirect", on().redirect(format!("http://127.0.0.1:9/{BODY}?{TOKEN}")), "success"),
        ("page", on().answer(404).body(&page).header("content-type", "text/html"), "success"),
        ("gateway", on().answer(502).body(&page).header("x-echo", TOKEN), "success"),
        ("unreadable", on().after_effect().body(format!("{{\"data\": \"{BODY} {TOKEN}")), "success"),
        ("cut", on().after_effect().cut(CutPoint::WithinBody), "success"),
        ("silent", on().hang(), "success"),
    ]
}

fn config_with_canary(fault: Fault) -> Fault {
    fault.set("/data/config/secret", json!(BODY)).set("/data/description", json!(BODY))
}

/// Returns all output of the operator, and all that can be read of it in the cluster.
async fn shown(env: &TestEnv) -> String {
    let mut all = String::new();
    for what in ["connectorrestores,migrationrollbacks", "events.events.k8s.io", "leases"] {
        all += &env.kubectl(&["get", what, "-o", "yaml", "--show-managed-fields"], "").await;
    }
    all
}

#[tokio::test]
async fn tokens_and_response_bodies_never_show_in_logs_events_objects_or_metrics() {
    let mut env = TestEnv::new().await;
    env.sandbox.set_token(TOKEN);
    std::fs::write(env.token_file(), TOKEN).unwrap();
    let flags =
        || Flags::default().with("--timeout", "1s").with("--retry-max", "1s").env("RUST_LOG", "trace");
    let mut operator = env.start(flags()).await;
    let mut ends: Vec<(Request, &str)> = Vec::new();
    for (name, fault, end) in fates() {
        for request in [a_rollback(&env.sandbox, name), a_restore(&env.sandbox, name)] {
            env.sandbox.inject(fault.clone().connector(request.id));
            env.sandbox.inject(config_with_canary(Fault::on(Operation::Any)).connector(request.id).always());
            ends.push((request, end));
        }
    }
    let requests: Vec<Request> = ends.iter().map(|(request, _)| request.clone()).collect();
    apply(&env, &requests).await;
    for (request, end) in &ends {
        request.wait_for_reason(&env, if *end == "success" { request.success() } else { end }).await;
    }
    let (_, metrics) = operator.probe("/metrics").await.unwrap();
    let (_, readiness) = operator.probe("/readyz").await.unwrap();
    operator.terminate().await;

    let home = std::mem::replace(&mut env.sandbox, Sandbox::builder().tls().start().await.unwrap());
    let stranger = a_restore(&env.sandbox, "tls");
    env.apply(&stranger.manifest()).await;
    let mut other = env.start(flags()).await;
    stranger.wait_for_reason(&env, "Retrying").await;
    other.terminate().await;

    let logs = operator.log() + &other.log();
    assert!(logs.contains("\"TRACE\"") && logs.contains("hyper"), "the log is too long");
    let calls = home.ledger();
    assert!(calls.calls().iter().any(|call| call.authorized), "the token was used");
    let all = [("the logs", logs), ("the metrics", metrics + &readiness), ("the cluster", shown(&env).await)];
    for canary in [TOKEN, BODY, &kubernetes_token(&env).await] {
        for (where_, text) in &all {
            if let Some(line) = text.lines().find(|line| line.contains(canary)) {
                panic!("{canary} shows in {where_}: {line}");
            }
        }
    }
    let (_, objects) = &all[2];
    assert!(
        objects.contains("[redacted]"),
        "a message that contained the token is shown without it: {objects}"
    );
}

/// Returns the part of the operator's service account token that is the same in all its tokens.
async fn kubernetes_token(env: &TestEnv) -> String {
    let kubeconfig: Value =
        serde_json::from_slice(&std::fs::read(env.kubeconfig(None).await).unwrap()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let head = token.split('.').next().unwrap();
    assert!(head.len() > 20);
    head.to_owned()
}
