//! The Role of the login mode as it is shipped: the other tests use all of it, and these take one verb away. The
//! operator says which one in the condition of a request that waits.

use std::time::Duration;

use cde_sandbox::control_plane::OPERATOR_NAMESPACE;
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use http::Method;

use crate::faults::request::{Request, a_rollback, all_succeed_once, apply};
use cde_harness::{LoginEnv, SECRET, exposed};

const ALL: [&str; 4] = ["get", "list", "watch", "patch"];

fn without(verb: &str) -> Vec<&'static str> {
    ALL.into_iter().filter(|it| *it != verb).collect()
}

/// Waits until the condition of a new request names the verb.
async fn waits_for(login: &LoginEnv, verb: &str) -> Request {
    let request = a_rollback(&login.env.sandbox, &format!("without-{verb}"));
    apply(&login.env, std::slice::from_ref(&request)).await;
    let words = format!("cannot {verb} resource \"secrets\"");
    login
        .until(&words, async || {
            let object = request.get(&login.env).await;
            (object.reason() == "LoginRequired" && object.message().contains(&words)).then_some(())
        })
        .await;
    request
}

/// Fault 72.
#[tokio::test]
async fn without_the_permission_to_list_the_operator_waits_for_it() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    login.grant(&without("list")).await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    // An API server that does not stream lists.
    let streamed = Rule::any().and("a streamed list", Call::is_streamed_list).always();
    let status = r#"{"kind": "Status", "apiVersion": "v1", "code": 422, "reason": "Invalid"}"#;
    api.answer(streamed, Point::BeforeForward, 422, &[], status);
    let _operator = login.env.start_behind(&api, login.flags().without_readiness_wait()).await;

    let request = waits_for(&login, "list").await;

    login.grant(&ALL).await;
    all_succeed_once(&login.env, &[request]).await;
}

/// Fault 72: the operator has read the Secret, and loses the permission then.
#[tokio::test]
async fn without_the_permission_to_watch_the_operator_says_that_it_sees_no_new_login() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let _operator = login.env.start_behind(&api, login.flags()).await;
    login.grant(&without("watch")).await;
    api.cut_watches();
    login.server.revoke_all().await.unwrap();

    let request = waits_for(&login, "watch").await;

    login.grant(&ALL).await;
    login.log_in().await;
    all_succeed_once(&login.env, &[request]).await;
}

/// Fault 72: the Secret is read once more after the authorization server has rejected the refresh token.
#[tokio::test]
async fn without_the_permission_to_get_the_operator_names_it_once_it_must_read() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    login.grant(&without("get")).await;
    let _operator = login.env.start(login.flags()).await;
    login.server.revoke_all().await.unwrap();

    let request = waits_for(&login, "get").await;

    login.grant(&ALL).await;
    login.log_in().await;
    all_succeed_once(&login.env, &[request]).await;
    assert_eq!(login.statistics().await.refreshes_refused, 1, "the rejected token was sent once");
}

/// Fault 72.
#[tokio::test]
async fn without_the_permission_to_patch_no_refresh_token_is_spent() {
    let login = LoginEnv::new(Duration::from_secs(3)).await;
    login.grant(&without("patch")).await;
    login.log_in().await;
    let operator = login.env.start(login.flags()).await;
    login.env.until_events(SECRET, 1).await;
    let stored = login.stored().await;
    login
        .until("the end of the access token", async || {
            let token = stored.access_token.as_ref()?;
            (!login.server.is_active(exposed(token)).await.unwrap()).then_some(())
        })
        .await;

    waits_for(&login, "patch").await;

    assert_eq!(login.statistics().await.refreshes, 0, "{}", operator.log());
}

/// Fault 72: the permission is lost after the refresh token is spent. A token that is not stored is lost with the process,
/// so no call uses it.
#[tokio::test]
async fn a_result_that_the_operator_may_not_store_is_not_used_until_it_is_stored() {
    let login = LoginEnv::new(Duration::from_secs(20)).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let result = Rule::verb(Method::PATCH)
        .path_ends_with(&format!("/secrets/{SECRET}"))
        .and("the result", |call| call.json()["data"].get("access_token").is_some());
    let result = api.hold(result, Point::BeforeForward);
    let _operator = login.env.start_behind(&api, login.flags()).await;
    result.seen().await.unwrap();
    login.grant(&without("patch")).await;
    login.until("the loss of the permission", async || (!may_patch(&login).await).then_some(())).await;
    result.release();

    let request = waits_for(&login, "patch").await;

    assert_eq!(login.env.sandbox.effects(request.id), 0, "{}", login.env.sandbox.ledger());
    login.grant(&ALL).await;
    all_succeed_once(&login.env, &[request]).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
}

/// Returns whether the API server lets the operator patch the Secret.
async fn may_patch(login: &LoginEnv) -> bool {
    let secret = format!("secrets/{SECRET}");
    let account = format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:cde-operator");
    login.env.try_kubectl(&["auth", "can-i", "patch", &secret, &account], "").await.is_ok()
}
