//! An upgrade from a token file to a login, and back, while requests wait.

use std::time::Duration;

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use cde_sandbox::process::Signal;

use super::refresh::rejected;
use crate::faults::request::{Request, a_restore, a_rollback, all_succeed_once, apply, many};
use cde_harness::{Flags, LoginEnv};

/// A claim of a request lasts six seconds.
fn from_file() -> Flags {
    Flags::fast_retries().with("--timeout", "1s")
}

#[tokio::test]
async fn a_change_from_a_token_file_to_a_login_and_back_loses_and_repeats_no_call() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let (env, sandbox) = (&login.env, &login.env.sandbox);
    let waiting = many(sandbox, 4);
    for request in &waiting {
        // The connector is locked until the end of the test.
        sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(423).always());
    }
    let [during_kill, during_stop] = [a_rollback(sandbox, "killed"), a_restore(sandbox, "stopped")];

    // The operator uses the token file. The process dies after the effect of a call.
    let mut operator = env.start(from_file()).await;
    apply(env, &waiting).await;
    all_wait(&login, &waiting).await;
    let mut call = sandbox.hold(Operation::Changing, during_kill.id, HoldPoint::AfterEffect);
    apply(env, std::slice::from_ref(&during_kill)).await;
    call.arrived().await.unwrap();
    operator.kill();
    call.cut();

    // The next one uses the login. It receives SIGTERM during a call.
    let mut operator = env.start(login.flags().with("--timeout", "1s")).await;
    all_succeed_once(env, std::slice::from_ref(&during_kill)).await;
    all_wait(&login, &waiting).await;
    let mut call = sandbox.hold(Operation::Changing, during_stop.id, HoldPoint::BeforeEffect);
    apply(env, std::slice::from_ref(&during_stop)).await;
    call.arrived().await.unwrap();
    operator.process.signal(Signal::TERM).unwrap();
    call.release();
    assert_eq!(operator.exit_code().await, Some(0), "{}", operator.log());

    // The last one uses the token file again.
    let _operator = env.start(from_file()).await;
    all_succeed_once(env, std::slice::from_ref(&during_stop)).await;
    sandbox.clear_faults();
    all_succeed_once(env, &waiting).await;
    for request in [&during_kill, &during_stop] {
        assert_eq!(request.calls(sandbox).len(), 1, "{}", sandbox.ledger());
    }
    assert_eq!(rejected(&login), 0, "{}", sandbox.ledger());
    assert_eq!(login.statistics().await.refreshes, 0, "the login was good for an hour");
}

/// Waits until each request has been called by the operator that runs now, and waits for its next attempt.
async fn all_wait(login: &LoginEnv, requests: &[Request]) {
    for request in requests {
        let before = request.calls(&login.env.sandbox).len();
        login
            .until("another call", async || (request.calls(&login.env.sandbox).len() > before).then_some(()))
            .await;
        request.wait_for_reason(&login.env, "Retrying").await;
    }
}
