//! A login that has ended is reported, and a new one ends the wait.

use std::time::Duration;

use crate::faults::request::{a_rollback, all_succeed_once, apply};
use cde_harness::{LoginEnv, Operator, SECRET};

async fn readiness(login: &LoginEnv, operator: &mut Operator, code: u16) {
    login
        .until(&format!("/readyz {code}"), async || {
            operator.probe("/readyz").await.filter(|answer| answer.0 == code)
        })
        .await;
}

/// Fault 66.
#[tokio::test]
async fn a_revoked_login_is_reported_and_a_new_one_ends_the_wait() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let mut operator = login.env.start(login.flags()).await;
    login.server.revoke_all().await.unwrap();
    let request = a_rollback(&login.env.sandbox, "revoked");
    apply(&login.env, std::slice::from_ref(&request)).await;

    let waiting = request.wait_for_reason(&login.env, "LoginRequired").await;

    let message = "The CDE login has expired or was revoked: run `kubectl cde login`.";
    assert_eq!(waiting.message(), message, "{waiting:#?}");
    readiness(&login, &mut operator, 503).await;
    let (_, metrics) = operator.probe("/metrics").await.unwrap();
    assert!(metrics.contains("cde_operator_login_required 1"), "{metrics}");
    let events = login.env.until_events(SECRET, 1).await;
    assert_eq!((events[0].0.as_str(), events[0].1.as_str()), ("Warning", "LoginRequired"), "{events:?}");
    let before = login.statistics().await;
    assert_eq!((before.refreshes_refused, before.reuse_detections), (1, 0));

    login.log_in().await;

    all_succeed_once(&login.env, &[request]).await;
    readiness(&login, &mut operator, 200).await;
    assert_eq!(login.statistics().await.refreshes_refused, 1, "the rejected token was sent once");
}

#[tokio::test]
async fn without_a_secret_requests_wait_for_the_first_login() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    let operator = login.env.start(login.flags().without_readiness_wait()).await;
    let request = a_rollback(&login.env.sandbox, "first");
    apply(&login.env, std::slice::from_ref(&request)).await;

    let waiting = request.wait_for_reason(&login.env, "LoginRequired").await;

    let name = format!("{}/{SECRET}", login.env.namespace);
    assert!(waiting.message().contains(&format!("The Secret {name} holds no CDE login")), "{waiting:#?}");
    assert_eq!(login.env.sandbox.ledger().total(), 0, "{}", operator.log());
    login.log_in().await;
    all_succeed_once(&login.env, &[request]).await;
}
