//! Responses of the CDE API that never end, arrive one byte per second, or ask for a wait.

use std::time::Duration;

use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use jiff::Timestamp;

use crate::faults::proxied::hold_calls;
use crate::faults::request::{all_succeed_once, apply, both, end_as_without_fault, many, until};
use cde_harness::{Flags, Object, Operator, TestEnv};

/// The memory limit in the manifests, in MiB.
const GRANTED: u64 = 256;

/// Returns the operator's peak resident memory, in MiB.
fn peak_memory(operator: &Operator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Fault 25: in successes and failures, for calls and reads, as many at once as there are workers.
#[tokio::test]
async fn endless_responses_are_abandoned_and_use_bounded_memory() {
    let env = TestEnv::new().await;
    let operator = env.start(Flags::default().with("--timeout", "20s")).await;
    let requests = many(&env.sandbox, 16);
    let endless = |operation| Fault::on(operation).huge(u64::MAX);
    for (number, request) in requests.iter().enumerate() {
        let fault = endless(Operation::Changing).connector(request.id).after_effect();
        env.sandbox.inject(if number < 12 { fault } else { fault.answer(500) });
    }
    let calls = hold_calls(&env, &requests, HoldPoint::BeforeEffect).await;
    for request in &requests {
        env.sandbox.inject(endless(Operation::Read).connector(request.id));
    }
    calls.into_iter().for_each(cde_sandbox::cde::Held::release);

    end_as_without_fault(&env, &requests, 1, true).await;

    let peak = peak_memory(&operator);
    assert!(peak < GRANTED, "{peak} MiB");
}

/// What a response asks for: no time, a wait in seconds, or a time.
enum Asked {
    Nothing,
    Seconds(i64),
    Time(Timestamp),
}

type Headers = Vec<(&'static str, String)>;

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

fn date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Returns each form in which a response asks for a wait.
fn forms() -> Vec<(&'static str, Headers, Asked)> {
    let (soon, later) = (in_seconds(700), in_seconds(900));
    let unix = |time: Timestamp| time.as_second().to_string();
    vec![
        ("seconds", vec![("retry-after", "600".to_owned())], Asked::Seconds(600)),
        ("date", vec![("retry-after", date(soon))], Asked::Time(soon)),
        ("past", vec![("retry-after", date(in_seconds(-60)))], Asked::Nothing),
        ("absent", vec![], Asked::Nothing),
        ("unreadable", vec![("retry-after", "soon".to_owned())], Asked::Nothing),
        ("absurd", vec![("retry-after", u64::MAX.to_string())], Asked::Seconds(3600)),
        ("platform", vec![("x-ratelimit-retry-after", unix(soon))], Asked::Time(soon)),
        ("stream", vec![("ratelimit-reset", unix(soon))], Asked::Time(soon)),
        (
            "several",
            vec![
                ("retry-after", "60".to_owned()),
                ("x-ratelimit-retry-after", unix(later)),
                ("ratelimit-reset", unix(soon)),
            ],
            Asked::Time(later),
        ),
    ]
}

/// Fault 28: all calls are under way when the first limit pauses the rest.
#[tokio::test]
async fn every_valid_form_of_retry_after_is_respected_and_invalid_ones_are_ignored() {
    let env = TestEnv::new().await;
    let flags = Flags::default().with("--timeout", "20s").with("--concurrency", "36");
    let _operator = env.start(flags).await;
    let (mut requests, mut cases) = (Vec::new(), Vec::new());
    for code in [429, 503] {
        for (name, headers, asked) in forms() {
            for request in both(&env.sandbox, &format!("{name}-{code}")) {
                let fault = Fault::on(Operation::Changing).connector(request.id).answer(code);
                let with = |fault: Fault, (name, value): &(&str, String)| fault.header(*name, value);
                env.sandbox.inject(headers.iter().fold(fault, with));
                requests.push(request);
            }
            cases.push(asked);
        }
    }
    let calls = hold_calls(&env, &requests, HoldPoint::BeforeEffect).await;
    calls.into_iter().for_each(cde_sandbox::cde::Held::release);

    for (pair, asked) in requests.chunks(2).zip(&cases) {
        for request in pair {
            let waits = |object: &Object| object.last_error()["code"].is_u64();
            let waiting = env.wait_until(request.kind, &request.name, "waiting", waits).await;
            waiting.assert_contract();
            let time = |value: &serde_json::Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
            let next = time(&waiting.operation()["nextAttemptTime"]);
            let wait = next.duration_since(time(&waiting.last_error()["time"])).as_secs();
            match asked {
                Asked::Nothing => assert!((0..=3).contains(&wait), "{}: {wait} s", request.name),
                Asked::Seconds(seconds) => {
                    assert!((*seconds..=seconds + 2).contains(&wait), "{}: {wait} s", request.name);
                }
                Asked::Time(at) => assert_eq!(next, *at, "{}", request.name),
            }
        }
    }
}

/// Fault 30: in the headers and the body, with and without the effect, and in a read.
#[tokio::test]
async fn a_response_of_one_byte_per_second_times_out_and_the_others_continue() {
    let timeout = 10;
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::default().with("--timeout", &format!("{timeout}s"))).await;
    let on = || Fault::on(Operation::Changing);
    let second = Duration::from_secs(1);
    let slow = |name: &str, fault: Fault| {
        both(&env.sandbox, name).map(|request| {
            env.sandbox.inject(fault.clone().connector(request.id));
            request
        })
    };
    let done = [
        slow("headers-done", on().after_effect().crawl(second)),
        slow("body-done", on().after_effect().drip(second)),
    ]
    .concat();
    let undone = [
        slow("headers-undone", on().answer(503).crawl(second)),
        slow("body-undone", on().answer(503).drip(second)),
    ]
    .concat();
    let read = slow("read", Fault::on(Operation::Read).crawl(second));
    let all = [&done[..], &undone].concat();
    apply(&env, &[&all[..], &read].concat()).await;
    until("all calls", || all.iter().all(|request| !request.calls(&env.sandbox).is_empty())).await;
    let others = both(&env.sandbox, "others");
    apply(&env, &others).await;
    all_succeed_once(&env, &others).await;
    for request in &all {
        assert_eq!(request.get(&env).await.reason(), "InProgress", "{} did not hold up", request.name);
    }

    for request in &all {
        let ended = |object: &Object| object.last_error().is_object();
        let waiting = env.wait_until(request.kind, &request.name, "abandoned", ended).await;
        let time = |value: &serde_json::Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let took = time(&waiting.last_error()["time"]) - time(&waiting.operation()["lastAttemptTime"]);
        assert!((timeout..=timeout + 2).contains(&took.get_seconds()), "{} took {took}", request.name);
    }
    end_as_without_fault(&env, &done, 1, true).await;
    end_as_without_fault(&env, &undone, 2, false).await;
    end_as_without_fault(&env, &read, 1, false).await;
}
