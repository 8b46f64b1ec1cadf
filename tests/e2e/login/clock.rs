//! The wall clock of the operator is wrong, or is set while it works. The authorization server, the CDE API and the
//! Secret's first writer use the right one.

use std::time::{Duration, Instant};

use cde_sandbox::clock::Clock;
use cde_sandbox::proxy::{Point, Proxy, Rule};
use futures::future::join_all;
use http::Method;
use jiff::SignedDuration;

use super::refresh::{rejected, round};
use cde_harness::{Flags, LoginEnv, SECRET};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Long enough that half of it is left for an operator that starts on a busy machine.
const LIFETIME: Duration = Duration::from_secs(12);

fn by(clock: &Clock, flags: Flags) -> Flags {
    clock.variables().into_iter().fold(flags, |flags, (name, value)| flags.env(name, &value))
}

/// Waits until half of the lifetime of a new login is over. Returns when it began, too.
async fn half_expired() -> (LoginEnv, Instant) {
    let login = LoginEnv::new(LIFETIME).await;
    let obtained = Instant::now();
    login.log_in().await;
    login.until("half of the lifetime", async || (obtained.elapsed() > LIFETIME / 2).then_some(())).await;
    (login, obtained)
}

/// Checks that no call lacked a valid token, and that no refresh token was spent twice.
async fn undisturbed(login: &LoginEnv, log: &str) {
    let statistics = login.statistics().await;
    assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0), "{log}");
    assert_eq!(rejected(login), 0, "{}\n{log}", login.env.sandbox.ledger());
}

/// Runs an operator with this clock, which starts when half of the access token's lifetime is over.
async fn an_operator_whose_clock_is_wrong_by(shift: SignedDuration) {
    let ((login, obtained), clock) = (half_expired().await, Clock::new().unwrap());
    clock.set(shift).unwrap();
    let operator = login.env.start(by(&clock, login.flags())).await;
    round(&login, 0).await;
    login.refreshed(1).await;
    let after = obtained.elapsed();
    assert!(after < LIFETIME, "refreshed {after:?} after the login\n{}", operator.log());
    round(&login, 1).await;
    login.refreshed(2).await;
    undisturbed(&login, &operator.log()).await;
}

/// Fault 70.
#[tokio::test]
async fn an_operator_whose_clock_is_an_hour_ahead_refreshes_in_time() {
    an_operator_whose_clock_is_wrong_by(HOUR).await;
}

/// Fault 70: to this operator, the access token seems to live for another hour.
#[tokio::test]
async fn an_operator_whose_clock_is_an_hour_behind_refreshes_in_time() {
    an_operator_whose_clock_is_wrong_by(-HOUR).await;
}

/// Fault 70.
#[tokio::test]
async fn a_clock_that_is_set_while_the_operator_runs_does_not_delay_a_refresh() {
    let (login, clock) = (LoginEnv::new(LIFETIME).await, Clock::new().unwrap());
    login.log_in().await;
    let operator = login.env.start(by(&clock, login.flags())).await;
    for (number, shift) in [HOUR, -HOUR, SignedDuration::ZERO].into_iter().enumerate() {
        clock.set(shift).unwrap();
        let number = u64::try_from(number).unwrap();
        round(&login, number).await;
        login.refreshed(number + 1).await;
    }
    undisturbed(&login, &operator.log()).await;
    assert_eq!(login.statistics().await.refreshes, 3, "none was made earlier than needed");
}

/// Fault 70: the clocks of the two operators are an hour apart, in either direction.
#[tokio::test]
async fn a_claim_of_an_operator_with_another_clock_is_waited_out_as_long_as_usual() {
    /// Two calls of one second each, and twelve seconds more.
    const CLAIM: Duration = Duration::from_secs(14);
    join_all([HOUR, -HOUR].map(async |shift| {
        let (login, clock) = (LoginEnv::new(Duration::from_secs(4)).await, Clock::new().unwrap());
        clock.set(shift).unwrap();
        login.log_in().await;
        let api = Proxy::start(&login.env.control_plane).await.unwrap();
        let patch = Rule::verb(Method::PATCH).path_ends_with(&format!("/secrets/{SECRET}"));
        let claim = api.hold(patch, Point::BeforeReply);
        let flags = login.flags().with("--timeout", "1s");
        let mut first = login.env.start_behind(&api, by(&clock, flags.clone())).await;
        claim.seen().await.unwrap();
        first.kill();
        drop(claim);

        let begun = Instant::now();
        let second = login.env.start(flags).await;
        login.refreshed(1).await;

        let (waited, log) = (begun.elapsed(), second.log());
        assert!(waited >= CLAIM, "{shift}: {waited:?}\n{log}");
        let statistics = login.statistics().await;
        assert_eq!((statistics.refreshes_refused, statistics.reuse_detections), (0, 0), "{log}");
    }))
    .await;
}
