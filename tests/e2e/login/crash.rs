//! The operator dies, or the API server is away, between claim, spend, persist and use.

use std::time::Duration;

use cde_operator::oauth::key;
use cde_sandbox::authorization_server::Options;
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use http::Method;

use crate::faults::request::{a_rollback, all_succeed_once, apply};
use crate::login::answers::refreshes;
use cde_harness::{LoginEnv, SECRET, exposed};

const LIFETIME: Duration = Duration::from_secs(4);

fn patch() -> Rule {
    Rule::verb(Method::PATCH).path_ends_with(&format!("/secrets/{SECRET}"))
}

/// The write of the claim, or of the result.
fn writes_tokens(call: &Call) -> bool {
    call.json()["data"].get(key::ACCESS_TOKEN).is_some()
}

/// A claim lasts for two calls of one second each, and twelve seconds more.
fn flags(login: &LoginEnv) -> cde_harness::Flags {
    login.flags().with("--timeout", "1s")
}

/// Fault 62: nothing was sent, so the next process waits for the end of the claim and goes on.
#[tokio::test]
async fn a_process_killed_between_claim_and_spend_costs_one_claims_wait() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let claim = api.hold(patch(), Point::BeforeReply);
    let mut first = login.env.start_behind(&api, flags(&login)).await;
    claim.seen().await.unwrap();
    first.kill();
    drop(claim);
    let _second = login.env.start(flags(&login)).await;
    login.refreshed(1).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
}

/// Fault 62: the token may be spent. With a grace period, the next process gets the answer.
#[tokio::test]
async fn a_process_killed_while_the_token_is_spent_costs_nothing_with_a_grace_period() {
    let login = LoginEnv::new(LIFETIME).await;
    login.server.set(Options::default().grace_period(Duration::from_mins(2))).await.unwrap();
    login.log_in().await;
    let spent = login.proxy.hold(Rule::refresh(), Point::BeforeReply);
    let mut first = login.env.start(flags(&login)).await;
    spent.seen().await.unwrap();
    first.kill();
    drop(spent);
    let _second = login.env.start(flags(&login)).await;
    login.refreshed(2).await;
    assert_eq!(login.statistics().await.reuse_detections, 0);
}

/// Fault 62: without a grace period, the login is lost, and the next process says so.
#[tokio::test]
async fn a_process_killed_between_spend_and_persist_needs_a_new_login() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let result = api.hold(patch().and("the result", writes_tokens), Point::BeforeForward);
    let mut first = login.env.start_behind(&api, flags(&login)).await;
    result.seen().await.unwrap();
    first.kill();
    result.cut();
    let _second = login.env.start(flags(&login)).await;
    let request = a_rollback(&login.env.sandbox, "lost");
    apply(&login.env, std::slice::from_ref(&request)).await;
    request.wait_for_reason(&login.env, "LoginRequired").await;
    login.log_in().await;
    all_succeed_once(&login.env, &[request]).await;
}

/// Fault 62: the result is stored, so nothing is lost.
#[tokio::test]
async fn a_process_killed_between_persist_and_use_costs_nothing() {
    let login = LoginEnv::new(Duration::from_secs(8)).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let result = api.hold(patch().and("the result", writes_tokens), Point::BeforeReply);
    let mut first = login.env.start_behind(&api, flags(&login)).await;
    result.seen().await.unwrap();
    first.kill();
    drop(result);
    let _second = login.env.start(flags(&login)).await;
    let request = a_rollback(&login.env.sandbox, "kept");
    apply(&login.env, std::slice::from_ref(&request)).await;
    all_succeed_once(&login.env, &[request]).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
}

/// Fault 64: the token is not spent before its result can be stored.
#[tokio::test]
async fn while_the_api_server_does_not_answer_no_refresh_token_is_spent() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    api.answer(patch().times(3), Point::BeforeForward, 500, &[], "{}");
    let mut operator = login.env.start_behind(&api, login.flags()).await;
    login.refreshed(1).await;
    assert_eq!(refreshes(&mut operator, "not_stored").await, 3, "{}", operator.log());
    let tried = api
        .ledger()
        .iter()
        .filter(|it| it.call.path.ends_with(SECRET) && it.call.method == Method::PATCH)
        .count();
    assert!(tried >= 5, "three claims failed: {tried}");
    assert_eq!(login.statistics().await.refreshes, 1);
}

/// Fault 64: the result is written until it is stored, and the new token is used only then.
#[tokio::test]
async fn a_result_that_cannot_be_stored_is_written_again_until_it_is() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    api.answer(patch().and("the result", writes_tokens).times(4), Point::BeforeForward, 503, &[], "{}");
    let mut operator = login.env.start_behind(&api, login.flags()).await;
    let stored = login.refreshed(1).await;
    assert_eq!(refreshes(&mut operator, "not_stored").await, 4, "{}", operator.log());
    let token = stored.access_token.as_ref().map(exposed).unwrap();
    assert!(login.server.is_active(token).await.unwrap());
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
}

/// Fault 64: the reply to the write of the result is lost.
#[tokio::test]
async fn a_result_whose_reply_is_lost_is_found_stored() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    api.cut(patch().and("the result", writes_tokens), Point::BeforeReply);
    let operator = login.env.start_behind(&api, login.flags()).await;
    login.refreshed(2).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0), "{}", operator.log());
}
