//! What the token endpoint may answer, or fail to answer.

use std::time::Duration;

use cde_sandbox::authorization_server::{Options, RefreshTokens};
use cde_sandbox::proxy::{Point, Rule};
use jiff::SignedDuration;
use serde_json::json;

use crate::faults::request::{a_rollback, all_succeed_once, apply};
use cde_harness::{LoginEnv, Operator};

/// The lifetime of access tokens here. A refresh is due after three quarters of it.
const LIFETIME: Duration = Duration::from_secs(4);

/// Returns how many refreshes had this result, by the metric.
pub(super) async fn refreshes(operator: &mut Operator, result: &str) -> u64 {
    let (_, metrics) = operator.probe("/metrics").await.unwrap();
    let name = format!("cde_operator_credential_refreshes_total{{result=\"{result}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("{name} is missing:\n{metrics}")).parse().unwrap()
}

async fn counted(login: &LoginEnv, operator: &mut Operator, result: &str) {
    login.until(result, async || (refreshes(operator, result).await > 0).then_some(())).await;
}

/// Fault 63: with a grace period, the repetition of a spent token is answered.
#[tokio::test]
async fn an_answer_lost_after_the_rotation_costs_nothing_if_the_server_has_a_grace_period() {
    let login = LoginEnv::new(LIFETIME).await;
    login.server.set(Options::default().grace_period(Duration::from_secs(30))).await.unwrap();
    login.log_in().await;
    login.proxy.cut(Rule::refresh(), Point::BeforeReply);
    let mut operator = login.env.start(login.flags()).await;
    login.refreshed(2).await;
    assert_eq!(refreshes(&mut operator, "unknown").await, 1, "{}", operator.log());
    let sends = login.proxy.ledger();
    let pause = sends[1].at.duration_since(sends[0].at);
    assert!(pause >= SignedDuration::from_secs(2), "the repetition came after {pause}");
    let request = a_rollback(&login.env.sandbox, "after");
    apply(&login.env, std::slice::from_ref(&request)).await;
    all_succeed_once(&login.env, &[request]).await;
    assert_eq!(login.statistics().await.reuse_detections, 0);
}

/// Fault 63: without a grace period, the login is lost, and that is said.
#[tokio::test]
async fn an_answer_lost_after_the_rotation_needs_a_new_login_if_the_server_has_no_grace_period() {
    for lost in ["cut", "500"] {
        let login = LoginEnv::new(LIFETIME).await;
        login.log_in().await;
        match lost {
            "cut" => login.proxy.cut(Rule::refresh(), Point::BeforeReply),
            _ => login.proxy.answer(Rule::refresh(), Point::BeforeReply, 500, &[], "{}"),
        }
        let _operator = login.env.start(login.flags()).await;
        let request = a_rollback(&login.env.sandbox, "lost");
        login
            .until("the repetition", async || (login.statistics().await.refreshes_refused > 0).then_some(()))
            .await;
        apply(&login.env, std::slice::from_ref(&request)).await;
        request.wait_for_reason(&login.env, "LoginRequired").await;
        login.log_in().await;
        all_succeed_once(&login.env, &[request]).await;
    }
}

/// Fault 63: the answer comes after the timeout.
#[tokio::test]
async fn an_answer_after_the_timeout_is_repeated_once_and_used() {
    let login = LoginEnv::new(LIFETIME).await;
    login.server.set(Options::default().grace_period(Duration::from_mins(1))).await.unwrap();
    login.log_in().await;
    let late = login.proxy.hold(Rule::refresh(), Point::BeforeReply);
    let mut operator = login.env.start(login.flags().with("--timeout", "1s")).await;
    late.seen().await.unwrap();
    counted(&login, &mut operator, "unknown").await;
    late.release();
    login.refreshed(2).await;
    assert_eq!(login.statistics().await.reuse_detections, 0);
}

/// Fault 67: nothing was spent, so the same token is sent again later.
#[tokio::test]
async fn a_busy_or_misplaced_answer_is_tried_again_with_the_same_token() {
    for (status, headers, body, result) in [
        (429, &[("retry-after", "1")][..], "", "limited"),
        (503, &[][..], "<html>", "limited"),
        (502, &[("content-type", "text/html")][..], "<html>", "unknown"),
        (200, &[("content-type", "text/html")][..], "<html>", "unknown"),
        (200, &[][..], "", "unknown"),
    ] {
        let login = LoginEnv::new(LIFETIME).await;
        login.log_in().await;
        login.proxy.answer(Rule::refresh(), Point::BeforeForward, status, headers, body);
        let mut operator = login.env.start(login.flags()).await;
        login.refreshed(1).await;
        assert_eq!(refreshes(&mut operator, result).await, 1, "{status} {body}: {}", operator.log());
        assert_eq!(login.statistics().await.refreshes_refused, 0, "{status} {body}");
    }
}

/// A refusal by the configuration is tried again every five minutes only, and calls go on with the present token.
#[tokio::test]
async fn a_refusal_by_the_configuration_is_counted_and_leaves_the_token_in_use() {
    let login = LoginEnv::new(Duration::from_secs(20)).await;
    login.log_in().await;
    let body = r#"{"error": "invalid_client", "error_description": "unknown client"}"#;
    login.proxy.answer(Rule::refresh().always(), Point::BeforeForward, 401, &[], body);
    let mut operator = login.env.start(login.flags()).await;
    counted(&login, &mut operator, "configuration").await;
    let request = a_rollback(&login.env.sandbox, "meanwhile");
    apply(&login.env, std::slice::from_ref(&request)).await;
    all_succeed_once(&login.env, &[request]).await;
    assert_eq!(refreshes(&mut operator, "configuration").await, 1, "{}", operator.log());
    assert!(login.stored().await.claim.is_none(), "the claim is released");
}

/// Fault 67: a redirect could lead the refresh token to another server.
#[tokio::test]
async fn a_redirect_of_the_token_endpoint_is_not_followed() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let elsewhere = login.server.token_url();
    login.proxy.answer(Rule::refresh(), Point::BeforeForward, 307, &[("location", elsewhere.as_str())], "");
    let mut operator = login.env.start(login.flags()).await;
    counted(&login, &mut operator, "configuration").await;
    assert_eq!(login.statistics().await.refreshes, 0, "{}", operator.log());
}

/// Fault 68.
#[tokio::test]
async fn a_lifetime_that_is_missing_or_absurd_is_tolerated() {
    let odd = [
        Options::default().without("expires_in"),
        Options::default().with("expires_in", json!("4")),
        Options::default().with("expires_in", json!(0)),
        Options::default().with("expires_in", json!(-7)),
        Options::default().with("expires_in", json!(1e300)),
        Options::default().without("token_type"),
    ];
    for options in odd {
        let login = LoginEnv::new(LIFETIME).await;
        login.log_in().await;
        login.server.set(options.clone()).await.unwrap();
        let flags = login.flags().with("--oauth-assume-lifetime", "4s");
        let _operator = login.env.start(flags).await;
        let stored = login.refreshed(1).await;
        assert!(stored.obtained_at.is_some(), "{options:?}");
        let request = a_rollback(&login.env.sandbox, "odd");
        apply(&login.env, std::slice::from_ref(&request)).await;
        all_succeed_once(&login.env, &[request]).await;
    }
}

/// Fault 68.
#[tokio::test]
async fn a_server_that_does_not_rotate_or_sends_no_refresh_token_keeps_the_old_one() {
    for kind in [RefreshTokens::Keep, RefreshTokens::Omit] {
        let login = LoginEnv::new(LIFETIME).await;
        login.server.set(Options::default().refresh_tokens(kind)).await.unwrap();
        let first = login.log_in().await;
        let operator = login.env.start(login.flags()).await;
        let stored = login.refreshed(3).await;
        assert!(stored.has_refresh_token(&first.refresh_token.as_str().into()), "{}", operator.log());
        assert_eq!(login.statistics().await.refreshes_refused, 0);
    }
}
