//! A thousand requests wait while the CDE API is down for ten minutes. The test takes a twentieth of the time, with
//! all times of the operator divided by twenty, so that the counts are those of the defaults.

use std::time::{Duration, Instant};

use cde_sandbox::cde::{Fault, Operation};

use crate::scale::crowd::Crowd;
use crate::scale::metrics::Metrics;
use cde_harness::{Flags, POLL, TestEnv};

const OBJECTS: u32 = 1000;
/// Ten minutes with the defaults.
const OUTAGE: Duration = Duration::from_secs(30);
/// `--retry-max 5m` of the defaults. The return of the API is noticed by then.
const RETRY_MAX: Duration = Duration::from_secs(15);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(10);

/// Failed calls until the API counts as down, and calls that are under way at that moment.
const ROW: u32 = 5;
const CONCURRENCY: u32 = 16;
/// Probes in ten minutes, if each comes after the shortest wait that the jitter allows: nine while the wait grows from
/// one second to five minutes, and three at half of that.
const PROBES: u32 = 12;
/// More than the operator needs to remember an object.
const MEGABYTES: f64 = 20.0;

/// `--timeout 30s`, `--retry-min 1s`, `--retry-max 5m`, `--rate 10`, divided by twenty.
fn compressed() -> Flags {
    let flags = Flags::default().with("--timeout", "1500ms").with("--rate", "200");
    flags.with("--retry-min", "50ms").with("--retry-max", "15s")
}

fn status_writes(env: &TestEnv) -> f64 {
    let writes = env.operator_writes("").into_iter().filter(|write| write.subresource == "status");
    f64::from(u32::try_from(writes.count()).unwrap())
}

/// Fault 32: half of the time each call gets a 503, and then connections are refused.
#[tokio::test]
async fn an_outage_costs_one_call_per_backoff_and_one_write_per_waiting_object() {
    let env = TestEnv::new().await;
    let mut operator = env.start(compressed()).await;
    let before = Metrics::of(&mut operator).await;
    let crowd = Crowd::new(&env, OBJECTS as usize);
    env.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    let begun = Instant::now();
    crowd.create(&env).await;
    operator.wait_for_log("the CDE API is down").await;
    sleep_until(begun, OUTAGE / 2).await;
    env.sandbox.down().await;
    sleep_until(begun, OUTAGE).await;

    let during = Metrics::of(&mut operator).await;
    let writes = status_writes(&env);
    eprintln!(
        "ten minutes of outage, {OBJECTS} objects: {} calls, {writes} status writes, {} reconciliations, {:.1} MB more",
        during.calls(),
        during.reconciles(),
        during.memory() - before.memory(),
    );
    assert!(during.calls() <= f64::from(ROW + CONCURRENCY + PROBES), "{} calls", during.calls());
    let bound = f64::from(OBJECTS) + 2.0 * during.calls();
    assert!(writes <= bound, "{writes} status writes for {} calls", during.calls());
    assert!(during.reconciles() <= bound, "{} passes for {} calls", during.reconciles(), during.calls());
    assert!(during.memory() - before.memory() < MEGABYTES, "{} MB", during.memory());

    env.sandbox.clear_faults();
    env.sandbox.up().await.unwrap();
    let back = Instant::now();
    operator.wait_for_log("resuming calls to the CDE API").await;
    assert!(back.elapsed() < RETRY_MAX + SLACK, "noticed after {:?}", back.elapsed());
    crowd.all_succeed(&env).await;
    let (after, all_writes) = (Metrics::of(&mut operator).await, status_writes(&env));
    eprintln!(
        "all done {:?} after it, with {} more calls and {} more status writes",
        back.elapsed(),
        after.calls() - during.calls(),
        all_writes - writes,
    );
    crowd.check_one_effect_each(&env);
    // A rollback is read and called, and a restore is called. A request with an unknown effect is read once more.
    let needed = 1.5 * f64::from(OBJECTS) + during.calls();
    assert!(after.calls() - during.calls() <= needed, "{} calls", after.calls());
    assert!(all_writes - writes <= 2.0 * f64::from(OBJECTS) + during.calls(), "{all_writes} status writes");
}

/// Sleeps until this much time of the outage has passed, because the test is about its length.
async fn sleep_until(begun: Instant, outage: Duration) {
    while begun.elapsed() < outage {
        tokio::time::sleep(POLL).await;
    }
}
