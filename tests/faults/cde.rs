//! The CDE API refuses the token, limits, fails, redirects, speaks TLS.

use std::time::Duration;

use cde_sandbox::cde::{Answered, Call, Fault, HoldPoint, Ledger, Operation, Sandbox};
use jiff::{SignedDuration, Timestamp};

use crate::request::{Request, a_restore, a_rollback, apply, both, many, until};
use crate::world::{Flags, LIMIT, Operator, World};

/// A wait that no test outlives: what goes on by then was not waited for.
const FOR_EVER: &str = "30m";

fn patient() -> Flags {
    Flags::default().with("--retry-min", FOR_EVER).with("--retry-max", FOR_EVER)
}

fn put_token(world: &World, token: &str) {
    std::fs::write(world.token_file(), token).unwrap();
}

async fn all_succeed_once(world: &World, requests: &[Request]) {
    for request in requests {
        request.succeeds(world).await;
        assert_eq!(world.sandbox.effects(request.id), 1, "{}", world.sandbox.ledger());
    }
}

/// Calls that came after the one with the number `sequence`.
fn after(ledger: &Ledger, sequence: u64) -> Vec<Call> {
    ledger.calls().iter().filter(|call| call.sequence > sequence).cloned().collect()
}

/// The times between calls that follow each other.
fn gaps(calls: &[Call]) -> Vec<Duration> {
    calls.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).unsigned_abs()).collect()
}

async fn ready_says(operator: &mut Operator, code: u16) {
    let begun = std::time::Instant::now();
    loop {
        let probe = operator.probe("/readyz").await;
        if probe.as_ref().is_some_and(|probe| probe.0 == code) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "/readyz says {probe:?}");
        tokio::time::sleep(crate::world::POLL).await;
    }
}

/// Fault 27: the token is replaced while the call that it is refused for is under way.
#[tokio::test]
async fn a_token_that_expires_during_a_call_is_read_again_and_the_next_attempt_follows_at_once() {
    let world = World::new().await;
    let _operator = world.start(patient()).await;
    let requests = both(&world.sandbox, "struck");
    let mut calls = Vec::new();
    for request in &requests {
        world.sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(401));
        calls.push(world.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect));
    }
    apply(&world, &requests).await;
    for call in &mut calls {
        call.arrived().await.unwrap();
    }
    world.sandbox.set_token("another-token");
    put_token(&world, "another-token");
    for call in calls {
        call.release();
    }

    all_succeed_once(&world, &requests).await;

    for request in &requests {
        let calls = request.calls(&world.sandbox);
        assert_eq!(calls.len(), 2, "{}", world.sandbox.ledger());
        let end = request.look(&world).await;
        assert_eq!(end.attempts(), 2, "the next attempt has a claim of its own");
        assert_eq!(end.operation()["retries"], 0, "there was no wait: {end:#?}");
    }
}

/// Fault 27.
#[tokio::test]
async fn a_refused_token_is_tried_by_one_probe_at_a_time_and_the_probe_says_so() {
    let world = World::new().await;
    let right = world.sandbox.token();
    put_token(&world, "wrong");
    let mut operator = world.start(Flags::default().with("--concurrency", "1")).await;
    let requests = many(&world.sandbox, 6);
    apply(&world, &requests).await;

    until("probes", || world.sandbox.ledger().total() >= 5).await;

    let calls = after(&world.sandbox.ledger(), 0);
    assert!(calls.iter().all(|call| call.answered == Answered::Status(401)));
    assert!(gaps(&calls).iter().all(|gap| *gap >= Duration::from_millis(450)), "{:?}", gaps(&calls));
    let (code, why) = operator.probe("/readyz").await.unwrap();
    assert_eq!((code, why.contains("token")), (503, true), "{why}");
    put_token(&world, &right);
    all_succeed_once(&world, &requests).await;
    ready_says(&mut operator, 200).await;
}

/// Fault 27.
#[tokio::test]
async fn who_waits_for_another_token_is_woken_when_the_file_changes() {
    let world = World::new().await;
    let right = world.sandbox.token();
    put_token(&world, "wrong");
    let mut operator = world.start(patient()).await;
    let requests = both(&world.sandbox, "struck");
    apply(&world, &requests[..1]).await;
    let waiting = requests[0].reaches(&world, "Unauthorized").await;
    assert_eq!(waiting.last_error()["code"], 401, "{waiting:#?}");
    assert!(waiting.operation()["nextAttemptAt"].is_null(), "it waits for no time: {waiting:#?}");
    apply(&world, &requests[1..]).await;
    requests[1].reaches(&world, "Pending").await;
    ready_says(&mut operator, 503).await;
    let refused = world.sandbox.ledger().total();

    put_token(&world, &right);

    all_succeed_once(&world, &requests).await;
    ready_says(&mut operator, 200).await;
    let ledger = world.sandbox.ledger();
    assert!(after(&ledger, refused).iter().all(|call| call.authorized), "{ledger}");
}

/// Fault 28.
#[tokio::test]
async fn a_429_pauses_the_calls_of_all_objects_for_as_long_as_it_says() {
    let world = World::new().await;
    let limited = a_restore(&world.sandbox, "limited");
    let fault = Fault::on(Operation::Restore).connector(limited.id).answer(429);
    world.sandbox.inject(fault.header("retry-after", "3"));
    let _operator = world.start(Flags::default()).await;
    apply(&world, std::slice::from_ref(&limited)).await;
    until("the refusal", || !limited.calls(&world.sandbox).is_empty()).await;
    let others = many(&world.sandbox, 4);
    apply(&world, &others).await;

    all_succeed_once(&world, &others).await;
    all_succeed_once(&world, &[limited]).await;

    let ledger = world.sandbox.ledger();
    let pause = gaps(ledger.calls())[0];
    assert!(pause >= Duration::from_millis(2_900), "{pause:?}\n{ledger}");
}

/// Fault 28: met by a read, and not forgotten by a restart.
#[tokio::test]
async fn a_pause_outlives_the_process_that_met_it() {
    let world = World::new().await;
    let limited = a_rollback(&world.sandbox, "limited");
    let fault = Fault::on(Operation::Read).connector(limited.id).answer(429);
    world.sandbox.inject(fault.header("retry-after", "6"));
    let mut first = world.start(Flags::default()).await;
    apply(&world, std::slice::from_ref(&limited)).await;
    let waiting = limited.reaches(&world, "Retrying").await;
    assert_eq!(waiting.last_error()["code"], 429, "{waiting:#?}");
    first.kill();
    let others = both(&world.sandbox, "others");
    apply(&world, &others).await;

    let _second = world.start(Flags::default()).await;

    all_succeed_once(&world, &others).await;
    all_succeed_once(&world, &[limited]).await;
    let ledger = world.sandbox.ledger();
    let pause = gaps(ledger.calls())[0];
    assert!(pause >= Duration::from_millis(5_900), "{pause:?}\n{ledger}");
}

/// Fault 28.
#[tokio::test]
async fn a_bare_503_lets_only_its_own_object_wait() {
    let world = World::new().await;
    let struck = a_rollback(&world.sandbox, "struck");
    let fault = Fault::on(Operation::Rollback).connector(struck.id).answer(503).always();
    world.sandbox.inject(fault);
    let _operator = world.start(patient()).await;
    apply(&world, std::slice::from_ref(&struck)).await;
    until("the 503", || !struck.calls(&world.sandbox).is_empty()).await;
    let others = both(&world.sandbox, "others");
    apply(&world, &others).await;

    all_succeed_once(&world, &others).await;

    assert_eq!(struck.calls(&world.sandbox).len(), 1);
}

/// Faults 28 and 32.
#[tokio::test]
async fn an_api_that_is_down_is_asked_by_one_call_at_a_time_and_all_finish_when_it_is_back() {
    let world = World::new().await;
    let busy = Duration::from_millis(300);
    world.sandbox.inject(Fault::on(Operation::Any).delay(busy).answer(503).always());
    let operator = world.start(Flags::default()).await;
    let requests = many(&world.sandbox, 12);
    apply(&world, &requests).await;

    operator.says("the CDE API is down").await;
    // What was on its way when that was noticed has come a second later.
    let settled = Timestamp::now() + SignedDuration::from_secs(1);
    let probes = || {
        world.sandbox.ledger().calls().iter().filter(|call| call.at > settled).cloned().collect::<Vec<_>>()
    };
    until("probes", || probes().len() >= 4).await;

    let probes = probes();
    assert!(gaps(&probes).iter().all(|gap| *gap >= busy), "{:?}", gaps(&probes));
    world.sandbox.clear_faults();
    all_succeed_once(&world, &requests).await;
    world.sandbox.down().await.unwrap();
    let late = both(&world.sandbox, "late");
    apply(&world, &late).await;
    for request in &late {
        let waiting = request.reaches(&world, "Retrying").await;
        assert!(waiting.last_error()["code"].is_null(), "{waiting:#?}");
    }
    world.sandbox.up().await.unwrap();
    all_succeed_once(&world, &late).await;
    for request in &late {
        assert_eq!(request.calls(&world.sandbox).len(), 1);
    }
}

/// Fault 29.
#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays_at_home() {
    let (world, _operator) = World::with_operator().await;
    let elsewhere = Sandbox::builder().token(world.sandbox.token()).start().await.unwrap();
    let mut requests = Vec::new();
    for code in [301, 302, 303, 307, 308] {
        for request in both(&world.sandbox, &format!("struck-{code}")) {
            elsewhere.put(world.sandbox.get(request.id).unwrap());
            for operation in [Operation::Read, Operation::Changing] {
                let fault = Fault::on(operation).connector(request.id).answer(code);
                let there = format!("{}/connectors/{}", elsewhere.url(), request.id);
                world.sandbox.inject(fault.header("location", there));
            }
            requests.push(request);
        }
    }
    apply(&world, &requests).await;

    all_succeed_once(&world, &requests).await;

    assert_eq!(elsewhere.ledger().total(), 0, "{}", elsewhere.ledger());
}

/// Fault 31.
#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named_and_only_then() {
    let mut world = World::new().await;
    world.sandbox = Sandbox::builder().tls().start().await.unwrap();
    put_token(&world, &world.sandbox.token());
    let requests = both(&world.sandbox, "secure");
    let mut stranger = world.start(Flags::default()).await;
    apply(&world, &requests).await;
    for request in &requests {
        let waiting = request.reaches(&world, "Retrying").await;
        assert_eq!(
            waiting.operation()["unknownAttempts"],
            serde_json::Value::Null,
            "nothing was sent: {waiting:#?}"
        );
        let error = waiting.last_error()["message"].as_str().unwrap().to_owned();
        assert!(error.contains("cannot connect"), "{error}");
    }
    assert_eq!(world.sandbox.ledger().total(), 0);
    stranger.kill();
    let roots = world.scratch.path().join("ca.pem");
    std::fs::write(&roots, world.sandbox.ca_pem().unwrap()).unwrap();

    let _friend = world.start(Flags::default().with("--ca-file", roots.to_str().unwrap())).await;

    all_succeed_once(&world, &requests).await;
}

#[tokio::test]
async fn the_rate_is_kept_over_all_objects() {
    let world = World::new().await;
    let _operator = world.start(Flags::default().with("--rate", "5")).await;
    let requests = many(&world.sandbox, 14);
    apply(&world, &requests).await;

    all_succeed_once(&world, &requests).await;

    let ledger = world.sandbox.ledger();
    let calls = ledger.calls();
    assert_eq!(calls.len(), 21, "a read for each rollback, a call for each\n{ledger}");
    for window in calls.windows(11) {
        // Ten steps of a fifth of a second; a call may be slower on its way than the next one.
        let took = window[10].at.duration_since(window[0].at).unsigned_abs();
        assert!(took >= Duration::from_millis(1_500), "11 calls within {took:?}\n{ledger}");
    }
}
