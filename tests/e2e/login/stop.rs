//! The operator is stopped during a refresh.

use std::time::Duration;

use cde_operator::oauth::Login;
use cde_sandbox::proxy::{Point, Rule};
use jiff::Timestamp;

use cde_harness::{LoginEnv, login_of};

/// The time that a stop gives to a call does not include the pause and a second request.
#[tokio::test]
async fn a_stop_between_two_sends_of_a_refresh_token_begins_no_second_one() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    login.proxy.answer(Rule::refresh().always(), Point::BeforeForward, 500, &[], "{}");
    let mut operator = login.env.start(login.flags()).await;
    let new = login_of(&login.server.new_login().await.unwrap());
    login.store(&Login { expires_at: Some(Timestamp::now() + Duration::from_secs(3)), ..new }).await;
    operator.wait_for_log("the CDE login was not refreshed").await;

    let code = operator.terminate().await;

    assert_eq!(code, Some(0), "{}", operator.log());
    let sent = login.proxy.ledger().iter().filter(|it| Rule::refresh().matches(&it.call)).count();
    assert_eq!(sent, 1, "{}", operator.log());
    assert!(login.stored().await.claim.is_none(), "the next process need not wait: {}", operator.log());
}
