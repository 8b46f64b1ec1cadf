//! The wall clock is set while the operator works, or the clocks of two operators are an hour apart. The ledger, which
//! uses the right clock, must show one effect, no call earlier than asked, and an end of every wait.

use std::ops::Range;
use std::time::Duration;

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use cde_sandbox::clock::Clock;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::faults::leadership::{BOTH, History, LEASE, Mode, has_led, leads};
use crate::faults::proxied::hold_calls;
use crate::faults::request::{Request, apply, both, end_as_without_fault};
use cde_harness::{Flags, Object, Operator, TestEnv};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Forward and back.
const STEPS: [SignedDuration; 2] = [HOUR, SignedDuration::from_hours(-1)];
/// The length of a claim with a `--timeout` of one second.
const CLAIM: Duration = Duration::from_secs(6);
/// What a busy machine may add to a wait.
const SLACK: Duration = Duration::from_secs(20);

/// Returns an environment whose operator uses a clock of its own.
async fn env_with(clock: &Clock, timeout: &str) -> (TestEnv, Operator) {
    let env = TestEnv::new().await;
    let flags = Mode::Alone.replica("operator").with("--timeout", timeout);
    let operator = env.start(by(clock, flags)).await;
    (env, operator)
}

fn by(clock: &Clock, flags: Flags) -> Flags {
    clock.variables().into_iter().fold(flags, |flags, (name, value)| flags.env(name, &value))
}

/// Returns a time from `status.operation`.
fn time(object: &Object, field: &str) -> Timestamp {
    object.operation()[field].as_str().unwrap().parse().unwrap()
}

/// Checks that each request was called a second time after the expected wait.
fn waited(env: &TestEnv, requests: &[Request], expected: Range<Duration>, step: SignedDuration) {
    for request in requests {
        let calls = request.calls(&env.sandbox);
        let waited = Duration::try_from(calls[1].at.duration_since(calls[0].at)).expect("in this order");
        assert!(expected.contains(&waited), "{} {step}: {waited:?}", env.namespace);
    }
}

/// Makes an edit that changes nothing for the operation of each request.
async fn make_unrelated_edit(env: &TestEnv, requests: &[Request]) {
    for request in requests {
        request.patch_spec(env, &serde_json::json!({"deadlineSeconds": 80_000})).await;
    }
}

/// Fault 36.
#[tokio::test]
async fn a_clock_change_during_a_call_changes_nothing() {
    join_all(STEPS.map(async |step| {
        let clock = Clock::new().unwrap();
        let (env, _operator) = env_with(&clock, "15s").await;
        let requests = both(&env.sandbox, "request");
        let calls = hold_calls(&env, &requests, HoldPoint::BeforeEffect).await;
        clock.set(step).unwrap();
        for call in calls {
            call.release();
        }
        end_as_without_fault(&env, &requests, 1, false).await;
        let completed = time(&requests[0].get(&env).await, "completionTime");
        let ahead = completed.duration_since(Timestamp::now());
        assert!((ahead - step).abs() < SignedDuration::from_mins(2), "the clock was not set: {ahead}");
    }))
    .await;
}

/// Faults 36 and 24: the server may be at work until the claim ends, whatever the clock says.
#[tokio::test]
async fn a_clock_change_during_an_unanswered_call_does_not_change_the_wait() {
    join_all(STEPS.map(async |step| {
        let clock = Clock::new().unwrap();
        let (env, _operator) = env_with(&clock, "3s").await;
        let requests = both(&env.sandbox, "request");
        let _calls = hold_calls(&env, &requests, HoldPoint::AfterEffect).await;
        clock.set(step).unwrap();
        end_as_without_fault(&env, &requests, 1, true).await;
        for request in &requests {
            let claimed = time(&request.get(&env).await, "lastAttemptTime");
            let look = env.sandbox.calls(Operation::Read, request.id).pop().unwrap();
            let waited = Duration::try_from(look.at.duration_since(claimed)).unwrap();
            let claim = Duration::from_secs(3 + 5);
            assert!((claim..claim + SLACK).contains(&waited), "{step}: {waited:?}");
        }
    }))
    .await;
}

/// Fault 36.
#[tokio::test]
async fn a_clock_change_during_a_wait_does_not_change_its_length() {
    const ASKED: Duration = Duration::from_secs(6);
    join_all(STEPS.map(async |step| {
        let clock = Clock::new().unwrap();
        let (env, _operator) = env_with(&clock, "1s").await;
        let requests = both(&env.sandbox, "request");
        for request in &requests {
            let locked = Fault::on(Operation::Changing).connector(request.id).answer(423);
            env.sandbox.inject(locked.header("retry-after", ASKED.as_secs().to_string()));
        }
        apply(&env, &requests).await;
        for request in &requests {
            request.wait_for_reason(&env, "Retrying").await;
        }
        // By then the operator has seen its own writes.
        env.flush_events().await;
        clock.set(step).unwrap();
        // Any event makes the operator check its clock.
        make_unrelated_edit(&env, &requests).await;
        end_as_without_fault(&env, &requests, 2, false).await;
        waited(&env, &requests, ASKED..ASKED + SLACK, step);
    }))
    .await;
}

/// Fault 36.
#[tokio::test]
async fn a_clock_change_does_not_change_the_wait_for_a_claim_of_another_operator() {
    join_all(STEPS.map(async |step| {
        let (env, clock) = (TestEnv::new().await, Clock::new().unwrap());
        let requests = kill_during_calls(&env, Mode::Alone).await;
        let _two = env.start(by(&clock, Mode::Alone.replica("two"))).await;
        clock.set(step).unwrap();
        make_unrelated_edit(&env, &requests).await;
        end_as_without_fault(&env, &requests, 2, false).await;
        waited(&env, &requests, CLAIM..CLAIM + SLACK, step);
    }))
    .await;
}

/// Fault 36: a successor whose clock is an hour ahead or behind.
#[tokio::test]
async fn operators_an_hour_apart_wait_for_claims_and_the_lease_as_long_as_usual() {
    let cases = STEPS.into_iter().flat_map(|step| BOTH.map(|mode| (step, mode)));
    join_all(cases.map(async |(step, mode)| {
        let (env, clock) = (TestEnv::new().await, Clock::new().unwrap());
        clock.set(step).unwrap();
        let requests = kill_during_calls(&env, mode).await;
        let two = env.start(by(&clock, mode.replica("two"))).await;
        end_as_without_fault(&env, &requests, 2, false).await;
        let shortest = if mode == Mode::Elected {
            leads(&two).await;
            LEASE
        } else {
            CLAIM
        };
        waited(&env, &requests, shortest..LEASE + CLAIM + SLACK, step);
    }))
    .await;
}

/// Kills an operator with the right time during its calls, which have no effect.
async fn kill_during_calls(env: &TestEnv, mode: Mode) -> [Request; 2] {
    let requests = both(&env.sandbox, "request");
    let mut calls = requests
        .each_ref()
        .map(|request| env.sandbox.hold(Operation::Changing, request.id, HoldPoint::BeforeEffect));
    let mut one = env.start(mode.replica("one")).await;
    apply(env, &requests).await;
    for call in &mut calls {
        call.arrived().await.unwrap();
    }
    one.kill();
    for call in calls {
        call.cut();
    }
    requests
}

/// Fault 36: the leader's clock is set forward or back, and the standby's clock the other way.
#[tokio::test]
async fn a_leader_keeps_its_lease_when_clocks_change() {
    join_all(STEPS.map(async |step| {
        let (env, clocks) = (TestEnv::new().await, [Clock::new().unwrap(), Clock::new().unwrap()]);
        let one = env.start(by(&clocks[0], Mode::Elected.replica("one"))).await;
        leads(&one).await;
        let mut two = env.start(by(&clocks[1], Mode::Elected.replica("two"))).await;
        let history = History::of(&env, &two).await;
        history.is_held_by("one").await;
        clocks[0].set(step).unwrap();
        clocks[1].set(-step).unwrap();

        // For longer than a Lease lasts.
        history.grows_by(5).await;

        assert_eq!(history.holders(), ["one"]);
        assert!(!has_led(&two), "{}", two.log());
        assert_eq!(two.probe("/readyz").await.unwrap().0, 200);
        let requests = both(&env.sandbox, "request");
        apply(&env, &requests).await;
        end_as_without_fault(&env, &requests, 1, false).await;
    }))
    .await;
}
