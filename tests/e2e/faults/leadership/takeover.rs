//! One replica goes, by a crash or by a shutdown, and another one takes over.

use std::time::{Duration, Instant};

use cde_sandbox::cde::{Held, HoldPoint, Operation};
use cde_sandbox::process::Signal;
use futures::future::join_all;

use super::{BOTH, History, LEASE, Mode, has_led, leads};
use crate::faults::request::{Request, apply, both, end_as_without_fault, many};
use cde_harness::{Operator, TestEnv};

/// A standby reads the Lease twice per second. The rest is for a busy machine.
const AFTER_A_CRASH: Duration = LEASE.saturating_add(Duration::from_secs(8));
const AFTER_RELEASE: Duration = Duration::from_secs(2);

/// Prints a measured time, which `--nocapture` shows.
fn measured(what: &str, time: Duration) {
    eprintln!("measured: {what}: {:.2} s", time.as_secs_f64());
}

/// Fault 9, with replicas, and fault 4, of the leader's call.
#[tokio::test]
async fn a_replica_takes_over_after_a_crash_and_repeats_a_call_that_had_no_effect() {
    join_all(BOTH.map(async |mode| {
        let env = TestEnv::new().await;
        let requests = both(&env.sandbox, "struck");
        let mut held = hold(&env, &requests, HoldPoint::BeforeEffect);
        let mut one = env.start(mode.replica("one").with("--timeout", "5s")).await;
        apply(&env, &requests).await;
        for held in &mut held {
            held.arrived().await.unwrap();
        }
        let mut two = env.start(mode.replica("two")).await;
        assert_eq!(two.probe("/readyz").await.unwrap().0, 200, "it is ready to take over");
        if mode == Mode::Elected {
            assert!(!has_led(&two), "{}", two.log());
        }

        one.kill();
        let died = Instant::now();
        for held in held {
            held.cut();
        }
        if mode == Mode::Elected {
            leads(&two).await;
            measured("takeover after a crash", died.elapsed());
            assert!(died.elapsed() < AFTER_A_CRASH, "it took {:?}", died.elapsed());
        }

        end_as_without_fault(&env, &requests, 2, false).await;
    }))
    .await;
}

/// Fault 8, with replicas.
#[tokio::test]
async fn a_replica_stopped_during_a_call_hands_over_within_two_seconds_of_its_record() {
    join_all(BOTH.map(async |mode| {
        let env = TestEnv::new().await;
        let requests = both(&env.sandbox, "first");
        let mut held = hold(&env, &requests, HoldPoint::BeforeEffect);
        let mut one = env.start(mode.replica("one").with("--timeout", "40s")).await;
        apply(&env, &requests).await;
        for held in &mut held {
            held.arrived().await.unwrap();
        }
        let two = env.start(mode.replica("two")).await;
        let history = if mode == Mode::Elected { Some(History::of(&env, &two).await) } else { None };

        one.process.signal(Signal::TERM).unwrap();
        one.wait_for_log("stopping").await;
        assert!(!has_led(&two) || mode == Mode::Alone, "{}", two.log());
        held.into_iter().for_each(Held::release);
        assert_eq!(one.exit_code().await, Some(0), "{}", one.log());

        if let Some(history) = history {
            history.is_held_by("two").await;
            measured("takeover after the release", history.vacancy());
            assert!(history.vacancy() < AFTER_RELEASE, "{:#?}", history.versions());
            assert_eq!(history.holders(), ["one", "-", "two"]);
        }
        end_as_without_fault(&env, &requests, 1, false).await;
    }))
    .await;
}

/// Fault 33, with three replicas: one leads at a time, or all of them work.
#[tokio::test]
async fn three_replicas_that_stop_one_by_one_make_one_call_for_each_request() {
    join_all(BOTH.map(async |mode| {
        let env = TestEnv::new().await;
        let start = async |pod: &str| env.start(mode.replica(pod)).await;
        let mut replicas = vec![start("one").await, start("two").await, start("three").await];
        let history = if mode == Mode::Elected { Some(History::of(&env, &replicas[0]).await) } else { None };
        wave(&env, "a").await;
        lead_alone(mode, &replicas);
        leader(mode, &mut replicas).kill();
        wave(&env, "b").await;
        lead_alone(mode, &replicas);
        assert_eq!(leader(mode, &mut replicas).terminate().await, Some(0));
        wave(&env, "c").await;
        lead_alone(mode, &replicas);
        if let Some(history) = history {
            assert_eq!(
                history.holders().len(),
                4,
                "one, another, nobody, the third: {:?}",
                history.holders()
            );
        }
    }))
    .await;
}

/// Returns requests that all succeed at once.
async fn wave(env: &TestEnv, name: &str) {
    let mut requests = many(&env.sandbox, 10);
    for request in &mut requests {
        request.name = format!("{name}-{}", request.name);
    }
    apply(env, &requests).await;
    for request in &requests {
        request.succeeds(env).await;
        assert_eq!(env.sandbox.effects(request.id), 1, "{}", env.sandbox.ledger());
        assert_eq!(request.calls(&env.sandbox).len(), 1, "{}", env.sandbox.ledger());
    }
}

/// Removes the replica that leads, or any replica where all of them work.
fn leader(mode: Mode, replicas: &mut Vec<Operator>) -> Operator {
    let leads = |replica: &Operator| mode == Mode::Alone || has_led(replica);
    replicas.remove(replicas.iter().position(leads).expect("one leads"))
}

/// Checks that exactly one of the running replicas leads, where one is to lead.
fn lead_alone(mode: Mode, replicas: &[Operator]) {
    let led = replicas.iter().filter(|replica| has_led(replica)).count();
    assert!(mode == Mode::Alone || led == 1);
}

fn hold(env: &TestEnv, requests: &[Request; 2], point: HoldPoint) -> [Held; 2] {
    requests.each_ref().map(|request| env.sandbox.hold(Operation::Changing, request.id, point))
}
