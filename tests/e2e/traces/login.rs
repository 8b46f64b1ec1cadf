//! What must not show in login mode, although servers quote it: the tokens and the claim of a refresh.

use std::time::Duration;

use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::proxy::{Point, Rule};
use serde_json::json;

use crate::faults::request::{Request, a_restore, all_succeed_once, apply};
use crate::traces::collector::Collector;
use cde_harness::{LoginEnv, SECRET, exposed};

/// Fault 73.
#[tokio::test]
async fn traces_and_errors_of_the_login_mode_show_no_token_and_no_claim() {
    let (login, collector) = (LoginEnv::new(Duration::from_hours(1)).await, Collector::start().await);
    let first = login.log_in().await;
    let flags = login.flags().with("--otlp-endpoint", &collector.url).env("RUST_LOG", "trace");
    let mut operator = login.env.start(flags.env("OTEL_BSP_SCHEDULE_DELAY", "50")).await;

    // The CDE API quotes the access token.
    let told = format!("Bearer {} is bad", first.access_token);
    let refused =
        requested(&login, "refused", |fault| fault.answer(403).set("/message", json!(told)).always()).await;
    let refused = refused.wait_for_reason(&login.env, "AccessDenied").await;
    assert!(refused.message().contains("[redacted]"), "{refused:#?}");

    // The token endpoint quotes the refresh token, and the claim is there during the second attempt.
    let told = json!({"error": "temporarily_unavailable", "error_description": first.refresh_token});
    login.proxy.answer(Rule::refresh(), Point::BeforeForward, 503, &[("retry-after", "1")], told.to_string());
    let second = login.proxy.hold(Rule::refresh(), Point::BeforeReply);
    let asks = requested(&login, "asks", |fault| fault.answer(401)).await;
    second.seen().await.unwrap();
    let claim = login.stored().await.claim.expect("a claim during the refresh");
    second.release();
    all_succeed_once(&login.env, std::slice::from_ref(&asks)).await;
    let stored = login.refreshed(1).await;

    // The login ends.
    login.server.revoke_all().await.unwrap();
    let lost = requested(&login, "lost", |fault| fault.answer(401).always()).await;
    let lost = lost.wait_for_reason(&login.env, "LoginRequired").await;
    let (refused, asks) =
        (collector.trace(&refused).await, collector.trace(&asks.get(&login.env).await).await);
    operator.terminate().await;

    let events = format!("{:?}", login.env.events(SECRET).await);
    let conditions = format!("{refused:?}{asks:?}{lost:?}");
    let canaries = [
        ("access token", first.access_token),
        ("refresh token", first.refresh_token),
        ("access token", stored.access_token.as_ref().map(exposed).unwrap().to_owned()),
        ("refresh token", stored.refresh_token.as_ref().map(exposed).unwrap().to_owned()),
    ];
    for (place, text) in [
        ("a trace", collector.text()),
        ("the log", operator.log()),
        ("an Event", events),
        ("a condition", conditions),
    ] {
        for (canary, token) in &canaries {
            // The second half is random, and a part of it would be a leak as well.
            assert!(!text.contains(&token[token.len() / 2..]), "{place} shows the {canary}");
        }
        assert!(!text.contains(&claim.until.to_string()), "{place} shows the claim");
    }
    assert!(operator.log().contains("[redacted]"), "the quoted refresh token is in no error");
}

/// Makes a request whose first call has this fault.
async fn requested(login: &LoginEnv, name: &str, fault: impl FnOnce(Fault) -> Fault) -> Request {
    let request = a_restore(&login.env.sandbox, name);
    login.env.sandbox.inject(fault(Fault::on(Operation::Changing).connector(request.id)));
    apply(&login.env, std::slice::from_ref(&request)).await;
    request
}
