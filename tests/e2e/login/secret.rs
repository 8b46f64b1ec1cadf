//! Others change the Secret.

use std::time::Duration;

use cde_operator::oauth::{Login, key};
use cde_sandbox::authorization_server::Client;
use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use http::Method;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::faults::request::{a_rollback, all_succeed_once, apply};
use cde_harness::{LoginEnv, SECRET, exposed, login_of};

const LIFETIME: Duration = Duration::from_secs(4);

async fn merge(login: &LoginEnv, change: serde_json::Value) {
    login.secrets.patch(SECRET, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
}

fn result() -> Rule {
    Rule::verb(Method::PATCH)
        .path_ends_with(&format!("/secrets/{SECRET}"))
        .and("the result", |call| call.json()["data"].get(key::ACCESS_TOKEN).is_some())
}

/// Fault 65.
#[tokio::test]
async fn a_label_that_somebody_sets_during_a_refresh_costs_nothing() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let held = api.hold(result(), Point::BeforeForward);
    let _operator = login.env.start_behind(&api, login.flags()).await;
    held.seen().await.unwrap();
    merge(&login, json!({"metadata": {"labels": {"team": "x"}}})).await;
    held.release();
    login.refreshed(2).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
}

/// Fault 65: the successor is not lost to a backup that comes back during the refresh.
#[tokio::test]
async fn an_old_secret_put_back_during_a_refresh_is_overwritten_by_the_successor() {
    let login = LoginEnv::new(LIFETIME).await;
    let first = login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let held = api.hold(result(), Point::BeforeForward);
    let _operator = login.env.start_behind(&api, login.flags()).await;
    held.seen().await.unwrap();
    login.store(&login_of(&first)).await;
    held.release();
    login.refreshed(2).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
}

/// Fault 65.
#[tokio::test]
async fn a_new_login_during_a_refresh_wins_and_the_refreshed_one_is_revoked() {
    let login = LoginEnv::new(Duration::from_secs(8)).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let held = api.hold(result(), Point::BeforeForward);
    let _operator = login.env.start_behind(&api, login.flags()).await;
    held.seen().await.unwrap();
    let new = login.log_in().await;
    held.release();
    login.until("the revocation", async || (login.statistics().await.revocations > 0).then_some(())).await;
    let stored = login.stored().await;
    assert_eq!(stored.refresh_token.as_ref().map(exposed), Some(new.refresh_token.as_str()));
    let request = a_rollback(&login.env.sandbox, "new");
    apply(&login.env, std::slice::from_ref(&request)).await;
    all_succeed_once(&login.env, &[request]).await;
}

/// An old Secret that Git or a backup puts back must not trigger reuse detection.
#[tokio::test]
async fn a_spent_refresh_token_put_back_is_never_sent_again() {
    let login = LoginEnv::new(LIFETIME).await;
    let first = login.log_in().await;
    let mut operator = login.env.start(login.flags()).await;
    login.refreshed(1).await;
    login.store(&login_of(&first)).await;
    login
        .until("the metric", async || {
            let (_, metrics) = operator.probe("/metrics").await?;
            metrics.contains("cde_operator_login_required 1").then_some(())
        })
        .await;
    let events = login.env.until_events(SECRET, 1).await;
    assert_eq!(events[0].1, "LoginRequired", "{events:?}");
    let request = a_rollback(&login.env.sandbox, "old");
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0));
    login.log_in().await;
    apply(&login.env, std::slice::from_ref(&request)).await;
    all_succeed_once(&login.env, &[request]).await;
}

/// Fault 72.
#[tokio::test]
async fn a_deleted_or_emptied_secret_is_a_logout() {
    for deleted in [true, false] {
        let login = LoginEnv::new(LIFETIME).await;
        login.log_in().await;
        let mut operator = login.env.start(login.flags()).await;
        if deleted {
            login.secrets.delete(SECRET, &DeleteParams::default()).await.unwrap();
        } else {
            login.store(&Login::default()).await;
        }
        login
            .until("the metric", async || {
                let (_, metrics) = operator.probe("/metrics").await?;
                metrics.contains("cde_operator_login_required 1").then_some(())
            })
            .await;
        login.log_in().await;
        let request = a_rollback(&login.env.sandbox, "again");
        apply(&login.env, std::slice::from_ref(&request)).await;
        all_succeed_once(&login.env, &[request]).await;
        login.refreshed(1).await;
        assert_eq!(login.statistics().await.refreshes_refused, 0);
    }
}

#[tokio::test]
async fn no_call_follows_a_logout_although_the_access_token_is_still_good() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let operator = login.env.start(login.flags()).await;
    login.store(&Login::default()).await;
    login.env.until_events(SECRET, 1).await;
    let request = a_rollback(&login.env.sandbox, "logged-out");
    apply(&login.env, std::slice::from_ref(&request)).await;

    request.wait_for_reason(&login.env, "LoginRequired").await;

    assert_eq!(login.env.sandbox.ledger().total(), 0, "{}", operator.log());
    login.log_in().await;
    all_succeed_once(&login.env, &[request]).await;
}

/// Fault 72.
#[tokio::test]
async fn an_immutable_secret_is_reported_before_the_token_is_spent() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    merge(&login, json!({"immutable": true})).await;
    let _operator = login.env.start(login.flags()).await;
    let events = login.env.until_events(SECRET, 1).await;
    assert_eq!(events[0].1, "SecretNotWritable", "{events:?}");
    assert!(events[0].2.contains("cannot be patched"), "{events:?}");
    assert_eq!(login.statistics().await.refreshes, 0);
}

/// The model of the refresh found it: the reply to the write of the result is lost, and another process refreshes the
/// result before this one looks.
#[tokio::test]
async fn a_result_that_another_process_has_refreshed_is_not_revoked() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let written = api.hold(result(), Point::BeforeReply);
    let operator = login.env.start_behind(&api, login.flags()).await;
    // A rejection of a token that was there before the start asks for a refresh.
    let request = a_rollback(&login.env.sandbox, "asks");
    login.env.sandbox.inject(Fault::on(Operation::Any).connector(request.id).answer(401));
    apply(&login.env, std::slice::from_ref(&request)).await;
    written.seen().await.unwrap();
    let stored = login.stored().await;
    let token = stored.refresh_token.as_ref().map(exposed).unwrap();
    let next = login.server.refresh(Client::Public, token).await.unwrap();
    login.store(&login_of(&next)).await;
    written.cut();
    all_succeed_once(&login.env, &[request]).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.revocations, statistics.reuse_detections), (0, 0), "{}", operator.log());
}

/// The watch lags behind the responses to the operator's own writes, and shows the spent token again.
#[tokio::test]
async fn a_version_of_the_secret_that_the_watch_shows_late_is_ignored() {
    let login = LoginEnv::new(LIFETIME).await;
    login.log_in().await;
    let api = Proxy::start(&login.env.control_plane).await.unwrap();
    let operator = login.env.start_behind(&api, login.flags()).await;
    let watch =
        api.hold(Rule::any().path_contains("/secrets").and("a watch", Call::is_watch), Point::BeforeForward);
    api.cut_watches();
    watch.seen().await.unwrap();
    login.refreshed(1).await;
    watch.release();
    login.refreshed(2).await;
    let events = login.env.events(SECRET).await;
    assert!(events.is_empty(), "{events:?}\n{}", operator.log());
}
