//! The CDE API limits calls, fails, redirects, or cannot be reached.

use std::time::Duration;

use cde_sandbox::cde::{Fault, Operation, Sandbox};
use jiff::{SignedDuration, Timestamp};

use crate::faults::proxied::without_retries;
use crate::faults::request::{
    Request, a_restore, a_rollback, all_succeed_once, apply, both, gaps, many, until,
};
use cde_harness::{Flags, TestEnv};

/// Fault 28.
#[tokio::test]
async fn a_429_pauses_the_calls_of_all_objects_for_as_long_as_it_says() {
    let env = TestEnv::new().await;
    let limited = a_restore(&env.sandbox, "limited");
    let fault = Fault::on(Operation::Restore).connector(limited.id).answer(429);
    env.sandbox.inject(fault.header("retry-after", "3"));
    let _operator = env.start(Flags::default()).await;
    apply(&env, std::slice::from_ref(&limited)).await;
    until("the refusal", || !limited.calls(&env.sandbox).is_empty()).await;
    let others = many(&env.sandbox, 4);
    apply(&env, &others).await;

    all_succeed_once(&env, &others).await;
    all_succeed_once(&env, &[limited]).await;

    let ledger = env.sandbox.ledger();
    let pause = gaps(ledger.calls())[0];
    assert!(pause >= Duration::from_millis(2_900), "{pause:?}\n{ledger}");
}

/// Fault 28: met by a read, and kept over a restart.
#[tokio::test]
async fn a_pause_survives_a_restart_of_the_operator() {
    let env = TestEnv::new().await;
    let limited = a_rollback(&env.sandbox, "limited");
    let fault = Fault::on(Operation::Read).connector(limited.id).answer(429);
    env.sandbox.inject(fault.header("retry-after", "6"));
    let mut first = env.start(Flags::default()).await;
    apply(&env, std::slice::from_ref(&limited)).await;
    let waiting = limited.wait_for_reason(&env, "Retrying").await;
    assert_eq!(waiting.last_error()["code"], 429, "{waiting:#?}");
    first.kill();
    let others = both(&env.sandbox, "others");
    apply(&env, &others).await;

    let _second = env.start(Flags::default()).await;

    all_succeed_once(&env, &others).await;
    all_succeed_once(&env, &[limited]).await;
    let ledger = env.sandbox.ledger();
    let pause = gaps(ledger.calls())[0];
    assert!(pause >= Duration::from_millis(5_900), "{pause:?}\n{ledger}");
}

/// Fault 28.
#[tokio::test]
async fn a_503_without_retry_after_delays_only_its_own_object() {
    let env = TestEnv::new().await;
    let struck = a_rollback(&env.sandbox, "struck");
    let fault = Fault::on(Operation::Rollback).connector(struck.id).answer(503).always();
    env.sandbox.inject(fault);
    let _operator = env.start(without_retries()).await;
    apply(&env, std::slice::from_ref(&struck)).await;
    until("the 503", || !struck.calls(&env.sandbox).is_empty()).await;
    let others = both(&env.sandbox, "others");
    apply(&env, &others).await;

    all_succeed_once(&env, &others).await;

    assert_eq!(struck.calls(&env.sandbox).len(), 1);
}

/// Faults 28 and 32.
#[tokio::test]
async fn an_outage_allows_one_probe_at_a_time_and_all_requests_finish_after_it() {
    let env = TestEnv::new().await;
    let busy = Duration::from_millis(300);
    env.sandbox.inject(Fault::on(Operation::Any).delay(busy).answer(503).always());
    let operator = env.start(Flags::default()).await;
    let requests = many(&env.sandbox, 12);
    apply(&env, &requests).await;

    operator.wait_for_log("the CDE API is down").await;
    // The calls that were under way when the outage was noticed have arrived a second later.
    let settled = Timestamp::now() + SignedDuration::from_secs(1);
    let probes =
        || env.sandbox.ledger().calls().iter().filter(|call| call.at > settled).cloned().collect::<Vec<_>>();
    until("probes", || probes().len() >= 4).await;

    let probes = probes();
    assert!(gaps(&probes).iter().all(|gap| *gap >= busy), "{:?}", gaps(&probes));
    env.sandbox.clear_faults();
    all_succeed_once(&env, &requests).await;
    env.sandbox.down().await;
    let late = both(&env.sandbox, "late");
    apply(&env, &late).await;
    for request in &late {
        let waiting = request.wait_for_reason(&env, "Retrying").await;
        assert!(waiting.last_error()["code"].is_null(), "{waiting:#?}");
    }
    env.sandbox.up().await.unwrap();
    all_succeed_once(&env, &late).await;
    for request in &late {
        assert_eq!(request.calls(&env.sandbox).len(), 1);
    }
}

/// Fault 29: for reads and calls, to another host and within the same one.
#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_is_not_sent_elsewhere() {
    let (env, _operator) = TestEnv::with_operator().await;
    let elsewhere = Sandbox::builder().token(env.sandbox.token()).start().await.unwrap();
    let bystander = a_rollback(&env.sandbox, "bystander");
    let mut requests = Vec::new();
    for code in [301, 302, 303, 307, 308] {
        let at_home = format!("{}/connectors/{}", env.sandbox.url(), bystander.id);
        for (where_, target) in [("away", None), ("home", Some(at_home))] {
            for request in both(&env.sandbox, &format!("struck-{code}-{where_}")) {
                elsewhere.put(env.sandbox.get(request.id).unwrap());
                let away = format!("{}/connectors/{}", elsewhere.url(), request.id);
                let target = target.clone().unwrap_or(away);
                for operation in [Operation::Read, Operation::Changing] {
                    let fault = Fault::on(operation).connector(request.id).answer(code);
                    env.sandbox.inject(fault.header("location", &target));
                }
                requests.push(request);
            }
        }
    }
    apply(&env, &requests).await;

    all_succeed_once(&env, &requests).await;

    assert_eq!(elsewhere.ledger().total(), 0, "{}", elsewhere.ledger());
    assert!(env.sandbox.calls(Operation::Any, bystander.id).is_empty(), "{}", env.sandbox.ledger());
}

/// Fault 31.
#[tokio::test]
async fn a_private_authority_is_trusted_only_if_it_is_configured() {
    let mut env = TestEnv::new().await;
    env.sandbox = Sandbox::builder().tls().token(env.sandbox.token()).start().await.unwrap();
    let requests = both(&env.sandbox, "secure");
    let mut stranger = env.start(Flags::default()).await;
    apply(&env, &requests).await;
    for request in &requests {
        let waiting = request.wait_for_reason(&env, "Retrying").await;
        assert_eq!(
            waiting.operation()["unknownAttempts"],
            serde_json::Value::Null,
            "nothing was sent: {waiting:#?}"
        );
        let error = waiting.last_error()["message"].as_str().unwrap().to_owned();
        assert!(error.contains("cannot connect"), "{error}");
    }
    assert_eq!(env.sandbox.ledger().total(), 0);
    stranger.kill();
    let roots = env.scratch.path().join("ca.pem");
    std::fs::write(&roots, env.sandbox.ca_pem().unwrap()).unwrap();

    let _friend = env.start(Flags::default().with("--ca-file", roots.to_str().unwrap())).await;

    all_succeed_once(&env, &requests).await;
}

/// Waits until the requests wait because nothing could be sent, with a message that has these words.
async fn wait_unsent(env: &TestEnv, requests: &[Request], words: &str) {
    apply(env, requests).await;
    for request in requests {
        let waiting = request.wait_for_reason(env, "Retrying").await;
        let (operation, error) = (waiting.operation(), waiting.last_error());
        assert!(operation["unknownAttempts"].is_null() && error["code"].is_null(), "{waiting:#?}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("nothing was sent") && message.contains(words), "{message}");
    }
}

/// Checks that an attempt that was never sent is not verified: a read for a rollback's claim, none for a restore, and
/// one call.
fn check_unverified(env: &TestEnv, requests: &[Request]) {
    for request in requests {
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", env.sandbox.ledger());
        assert_eq!(request.reads(&env.sandbox), usize::from(request.success() == "RolledBack"));
    }
}

/// Fault 31.
#[tokio::test]
async fn an_unknown_host_and_a_refused_connection_need_no_verification() {
    let (lost, refused) = tokio::join!(TestEnv::new(), TestEnv::new());
    let flags = Flags::default().env("CDE_URL", "https://cde.invalid");
    let (_nowhere, _operator) = tokio::join!(lost.start(flags), refused.start(Flags::default()));
    wait_unsent(&lost, &both(&lost.sandbox, "unknown"), "cannot connect").await;
    refused.sandbox.down().await;
    let requests = both(&refused.sandbox, "refused");
    wait_unsent(&refused, &requests, "refused").await;

    refused.sandbox.up().await.unwrap();

    all_succeed_once(&refused, &requests).await;
    check_unverified(&refused, &requests);
}

/// Fault 31: the right authority with another host's name, then with the right name.
#[tokio::test]
async fn a_certificate_for_another_name_is_rejected_before_anything_is_sent() {
    let mut env = TestEnv::new().await;
    let roots = env.scratch.path().join("ca.pem");
    let (home, token) = (env.sandbox.clone(), env.sandbox.token());
    let listening =
        |address: String| Sandbox::builder().token(&token).tls().listen(address.parse().unwrap()).start();
    // A sandbox that listens on all addresses has a certificate for 127.0.0.1.
    env.sandbox = listening("0.0.0.0:0".to_owned()).await.unwrap();
    let port = env.sandbox.url().rsplit_once(':').unwrap().1.to_owned();
    let address = format!("127.0.0.2:{port}");
    let flags = || {
        let flags = Flags::default().env("CDE_URL", &format!("https://{address}"));
        flags.with("--ca-file", roots.to_str().unwrap())
    };
    std::fs::write(&roots, env.sandbox.ca_pem().unwrap()).unwrap();
    let mut operator = env.start(flags()).await;
    let requests = both(&home, "named");
    wait_unsent(&env, &requests, "certificate").await;
    assert_eq!(env.sandbox.ledger().total(), 0);
    env.sandbox.down().await;
    operator.kill();

    env.sandbox = listening(address.clone()).await.unwrap();
    for request in &requests {
        env.sandbox.put(home.get(request.id).unwrap());
    }
    std::fs::write(&roots, env.sandbox.ca_pem().unwrap()).unwrap();
    let _operator = env.start(flags()).await;

    all_succeed_once(&env, &requests).await;
    check_unverified(&env, &requests);
}

#[tokio::test]
async fn the_rate_limit_applies_to_all_objects_together() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::default().with("--rate", "5")).await;
    let requests = many(&env.sandbox, 14);
    apply(&env, &requests).await;

    all_succeed_once(&env, &requests).await;

    let ledger = env.sandbox.ledger();
    let calls = ledger.calls();
    assert_eq!(calls.len(), 21, "a read for each rollback, a call for each\n{ledger}");
    for window in calls.windows(11) {
        // Ten intervals of a fifth of a second. One call may be slower on its way than the next one.
        let took = window[10].at.duration_since(window[0].at).unsigned_abs();
        assert!(took >= Duration::from_millis(1_500), "11 calls within {took:?}\n{ledger}");
    }
}
