//! The token is replaced, expires, or goes missing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cde_sandbox::cde::{Answered, Fault, HoldPoint, Operation};

use crate::faults::proxied::without_retries;
use crate::faults::request::{after, all_succeed_once, apply, both, gaps, many, until};
use cde_harness::{Flags, LIMIT, Operator, TestEnv};

fn put_token(env: &TestEnv, token: &str) {
    std::fs::write(env.token_file(), token).unwrap();
}

async fn ready_says(operator: &mut Operator, code: u16) {
    let begun = std::time::Instant::now();
    loop {
        let probe = operator.probe("/readyz").await;
        if probe.as_ref().is_some_and(|probe| probe.0 == code) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "/readyz says {probe:?}");
        tokio::time::sleep(cde_harness::POLL).await;
    }
}

/// Fault 27: the token is replaced while the call that gets the 401 is under way.
#[tokio::test]
async fn a_token_that_expires_during_a_call_is_read_again_and_the_call_retried_at_once() {
    let env = TestEnv::new().await;
    let _operator = env.start(without_retries()).await;
    let requests = both(&env.sandbox, "struck");
    let mut calls = Vec::new();
    for request in &requests {
        env.sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(401));
        calls.push(env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect));
    }
    apply(&env, &requests).await;
    for call in &mut calls {
        call.arrived().await.unwrap();
    }
    env.sandbox.set_token("another-token");
    put_token(&env, "another-token");
    for call in calls {
        call.release();
    }

    all_succeed_once(&env, &requests).await;

    for request in &requests {
        let calls = request.calls(&env.sandbox);
        assert_eq!(calls.len(), 2, "{}", env.sandbox.ledger());
        let end = request.get(&env).await;
        assert_eq!(end.attempts(), 2, "the next attempt has a claim of its own");
        assert_eq!(end.operation()["backoffStep"], 0, "there was no wait: {end:#?}");
    }
}

/// Fault 27.
#[tokio::test]
async fn a_rejected_token_is_tried_by_one_probe_at_a_time_and_readyz_reports_it() {
    let env = TestEnv::new().await;
    let right = env.sandbox.token();
    put_token(&env, "wrong");
    let mut operator = env.start(Flags::default().with("--concurrency", "1")).await;
    let requests = many(&env.sandbox, 6);
    apply(&env, &requests).await;

    until("probes", || env.sandbox.ledger().total() >= 5).await;

    let calls = after(&env.sandbox.ledger(), 0);
    assert!(calls.iter().all(|call| call.answered == Answered::Status(401)));
    assert!(gaps(&calls).iter().all(|gap| *gap >= Duration::from_millis(450)), "{:?}", gaps(&calls));
    let (code, why) = operator.probe("/readyz").await.unwrap();
    assert_eq!((code, why.contains("token")), (503, true), "{why}");
    put_token(&env, &right);
    all_succeed_once(&env, &requests).await;
    ready_says(&mut operator, 200).await;
}

/// Fault 27.
#[tokio::test]
async fn requests_that_wait_for_another_token_continue_when_the_file_changes() {
    let env = TestEnv::new().await;
    let right = env.sandbox.token();
    put_token(&env, "wrong");
    let mut operator = env.start(without_retries()).await;
    let requests = both(&env.sandbox, "struck");
    apply(&env, &requests[..1]).await;
    let waiting = requests[0].wait_for_reason(&env, "TokenRejected").await;
    assert_eq!(waiting.last_error()["code"], 401, "{waiting:#?}");
    assert!(waiting.operation()["nextAttemptTime"].is_null(), "it waits for no time: {waiting:#?}");
    apply(&env, &requests[1..]).await;
    requests[1].wait_for_reason(&env, "OnHold").await;
    ready_says(&mut operator, 503).await;
    let refused = env.sandbox.ledger().total();

    put_token(&env, &right);

    all_succeed_once(&env, &requests).await;
    ready_says(&mut operator, 200).await;
    let ledger = env.sandbox.ledger();
    assert!(after(&ledger, refused).iter().all(|call| call.authorized), "{ledger}");
}

/// Mounts a Secret as a kubelet does, and returns the path of its key `token`.
fn mount(directory: &Path, version: &str, token: &str) -> PathBuf {
    fs::create_dir_all(directory.join(version)).unwrap();
    fs::write(directory.join(version).join("token"), token).unwrap();
    symlink(version, directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    if !directory.join("token").exists() {
        symlink("..data/token", directory.join("token")).unwrap();
    }
    directory.join("token")
}

/// Fault 16: replaced twice between two reads of the file, as a kubelet does. No request waits for a backoff.
#[tokio::test]
async fn a_token_that_was_replaced_unseen_is_found_after_a_401_with_the_old_one() {
    let env = TestEnv::new().await;
    let secret = env.scratch.path().join("secret");
    let path = mount(&secret, "..v1", &env.sandbox.token());
    let _operator = env.start(without_retries().with("--token-file", path.to_str().unwrap())).await;
    for round in 0..3 {
        mount(&secret, &format!("..v2-{round}"), "never-seen");
        let token = format!("token-{round}");
        mount(&secret, &format!("..v3-{round}"), &token);
        env.sandbox.set_token(token);
        let requests = both(&env.sandbox, &format!("struck-{round}"));
        apply(&env, &requests).await;
        all_succeed_once(&env, &requests).await;
        for request in &requests {
            assert!(request.calls(&env.sandbox).len() <= 2, "{}", env.sandbox.ledger());
            assert_eq!(request.get(&env).await.operation()["backoffStep"], 0, "there was no wait");
        }
    }
}

/// Fault 16.
#[tokio::test]
async fn a_missing_or_invalid_token_file_causes_one_warning_and_the_last_token_stays() {
    let env = TestEnv::new().await;
    let operator = env.start(Flags::default()).await;
    let warnings = || operator.log().matches("the last token stays in use").count();
    let spoilt: [(&str, Option<&str>); 4] = [
        ("cannot be read", None),
        ("is empty", Some(" \n")),
        ("inner white space", Some("two words")),
        ("cannot be read", None),
    ];
    for (round, (says, content)) in spoilt.into_iter().enumerate() {
        match content {
            Some(content) => put_token(&env, content),
            None => fs::remove_file(env.token_file()).unwrap(),
        }
        until("a warning", || warnings() > round).await;
        let log = operator.log();
        let line = log.lines().rfind(|line| line.contains("the last token stays in use")).unwrap();
        assert!(line.contains("WARN") && line.contains("--token-file") && line.contains(says), "{line}");
        let requests = both(&env.sandbox, &format!("struck-{round}"));
        apply(&env, &requests).await;
        all_succeed_once(&env, &requests).await;
    }
    // The file is read every other second.
    env.settle_after(5).await;
    assert_eq!(warnings(), spoilt.len(), "a warning for each change, not for each read\n{}", operator.log());

    env.sandbox.set_token("good-again");
    put_token(&env, "good-again");
    operator.wait_for_log("usable again").await;
    let requests = both(&env.sandbox, "healed");
    apply(&env, &requests).await;
    all_succeed_once(&env, &requests).await;
}
