//! A login is refreshed in time, and each refresh token is spent once.

use std::time::Duration;

use cde_sandbox::authorization_server::Client;
use cde_sandbox::cde::{Fault, Held, HoldPoint, Operation};

use crate::faults::request::{all_succeed_once, apply, many};
use cde_harness::{LoginEnv, exposed};

/// Returns how many calls the CDE API rejected because of their token.
pub(super) fn rejected(login: &LoginEnv) -> usize {
    login.env.sandbox.ledger().calls().iter().filter(|call| !call.authorized).count()
}

/// Makes four requests, whose names end with this number, and waits until they have succeeded with one effect each.
pub(super) async fn round(login: &LoginEnv, number: u64) {
    let mut requests = many(&login.env.sandbox, 4);
    for request in &mut requests {
        request.name = format!("{}-{number}", request.name);
    }
    apply(&login.env, &requests).await;
    all_succeed_once(&login.env, &requests).await;
}

#[tokio::test]
async fn a_login_is_refreshed_before_it_expires_and_no_call_is_rejected() {
    let login = LoginEnv::new(Duration::from_secs(4)).await;
    login.log_in().await;
    let operator = login.env.start(login.flags()).await;
    for number in 0..3 {
        round(&login, number).await;
        login.refreshed(number + 1).await;
    }
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0), "{}", operator.log());
    assert_eq!(rejected(&login), 0, "{}", login.env.sandbox.ledger());
}

/// Fault 61.
#[tokio::test]
async fn two_operators_share_one_login_and_spend_each_refresh_token_once() {
    let login = LoginEnv::new(Duration::from_secs(3)).await;
    login.log_in().await;
    let shares = ["share=a", "share=b"].map(|share| login.flags().with("--selector", share));
    let [a, b] = shares;
    let operators = tokio::join!(login.env.start(a), login.env.start(b));
    login.refreshed(4).await;
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0), "{operators:?}");
}

/// Fault 71.
#[tokio::test]
async fn a_storm_of_rejections_makes_one_refresh() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let _operator = login.env.start(login.flags()).await;
    let requests = many(&login.env.sandbox, 10);
    for request in &requests {
        login.env.sandbox.inject(Fault::on(Operation::Any).connector(request.id).answer(401));
    }
    apply(&login.env, &requests).await;
    all_succeed_once(&login.env, &requests).await;
    assert_eq!(login.statistics().await.refreshes, 1);
}

/// Fault 69: the server ends the old access token at the rotation.
#[tokio::test]
async fn a_refresh_waits_for_the_end_of_a_call_that_is_under_way() {
    let login = LoginEnv::new(Duration::from_secs(4)).await;
    login.log_in().await;
    let _operator = login.env.start(login.flags()).await;
    login.refreshed(1).await;
    let requests = many(&login.env.sandbox, 2);
    let mut held: Vec<_> = requests
        .iter()
        .map(|request| login.env.sandbox.hold(Operation::Any, request.id, HoldPoint::BeforeEffect))
        .collect();
    apply(&login.env, &requests).await;
    for call in &mut held {
        call.arrived().await.unwrap();
    }
    // Some refreshes may have come before the calls on a busy machine.
    let before = login.statistics().await.refreshes;
    login.until("a claim", async || login.stored().await.claim).await;
    let refreshes = login.statistics().await.refreshes;
    assert_eq!(refreshes, before, "the refresh token is spent while calls are under way");
    held.into_iter().for_each(Held::release);
    all_succeed_once(&login.env, &requests).await;
    login.refreshed(before + 1).await;
    assert_eq!(rejected(&login), 0, "{}", login.env.sandbox.ledger());
}

/// Fault 69: the server ends the old access token while calls with it are under way.
#[tokio::test]
async fn a_call_whose_token_ends_at_the_rotation_is_repeated_with_the_new_one() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    let first = login.log_in().await;
    let _operator = login.env.start(login.flags()).await;
    let requests = many(&login.env.sandbox, 4);
    apply(&login.env, &requests).await;
    all_succeed_once(&login.env, &requests).await;
    // Another client spends the refresh token and stores the result, as a second operator would.
    let rotated = login.server.refresh(Client::Public, &first.refresh_token).await.unwrap();
    let later: Vec<_> = many(&login.env.sandbox, 4)
        .into_iter()
        .map(|mut request| {
            request.name = format!("later-{}", request.name);
            request
        })
        .collect();
    login.store(&cde_harness::login_of(&rotated)).await;
    apply(&login.env, &later).await;
    all_succeed_once(&login.env, &later).await;
    assert_eq!(login.statistics().await.reuse_detections, 0);
    let stored = login.stored().await;
    assert_eq!(stored.access_token.as_ref().map(exposed), Some(rotated.access_token.as_str()));
}
