//! A collector that fails costs nothing, and neither do traces that are off.

use std::fs;
use std::time::{Duration, Instant};

use cde_sandbox::cde::{Fault, Operation};
use tokio::net::TcpListener;

use crate::traces::collector::{Behavior, Collector};
use cde_harness::{Flags, Kind, Operator, Request, TestEnv};

/// The only warning about the collector.
const LOST: &str = "traces do not reach the collector";
/// Far less than a request to the collector may take.
const SOON: Duration = Duration::from_secs(5);

async fn apply(env: &TestEnv, what: &str, count: usize) -> Vec<Request> {
    let harmless = || Fault::on(Operation::Any).times(0);
    let requests: Vec<Request> = (0..count)
        .map(|number| env.request(Kind::Restore, &format!("{what}-{number}"), harmless()))
        .collect();
    env.apply_all(requests.iter().map(Request::manifest)).await;
    requests
}

async fn all_are_restored(env: &TestEnv, requests: &[Request]) {
    for request in requests {
        env.wait_for(request, "Restored").await;
    }
}

async fn stops_soon(operator: &mut Operator) {
    let told = Instant::now();
    assert_eq!(operator.terminate().await, Some(0), "{}", operator.log());
    assert!(told.elapsed() < SOON, "it took {:?}", told.elapsed());
}

fn warnings(operator: &Operator) -> usize {
    operator.log().lines().filter(|line| line.contains(LOST)).count()
}

/// Returns the names of its threads.
fn threads(operator: &Operator) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", operator.process.id())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test]
async fn traces_are_off_by_default_and_cost_no_header_and_no_thread() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let off = Flags::fast_retries().env("CDE_OTLP_ENDPOINT", "").env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let disabled =
        off.clone().env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_SDK_DISABLED", "true");
    for (name, flags) in [("off", off), ("disabled", disabled)] {
        let mut operator = env.start(flags).await;
        let requests = apply(&env, name, 1).await;
        all_are_restored(&env, &requests).await;
        let threads = threads(&operator);
        assert!(!threads.iter().any(|name| name.starts_with("OpenTelemetry")), "{threads:?}");
        let call = &env.attempts(&requests[0])[0];
        assert_eq!(call.traceparent, None);
        stops_soon(&mut operator).await;
    }
    assert_eq!(collector.requests(), 0);
}

#[tokio::test]
async fn a_collector_that_is_down_slows_nothing_and_is_logged_once() {
    let env = TestEnv::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let flags = Flags::fast_retries().env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut operator = env.start(flags.env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{closed}"))).await;
    let requests = apply(&env, "down", 5).await;
    all_are_restored(&env, &requests).await;
    operator.wait_for_log(LOST).await;
    let more = apply(&env, "still-down", 5).await;
    all_are_restored(&env, &more).await;

    stops_soon(&mut operator).await;

    assert_eq!(warnings(&operator), 1, "{}", operator.log());
}

#[tokio::test]
async fn a_collector_that_hangs_slows_neither_the_work_nor_the_shutdown() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    collector.behaves(Behavior::Hangs);
    // The queue is full soon.
    let flags =
        collector.flags().env("OTEL_BSP_MAX_QUEUE_SIZE", "4").env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2");
    let mut operator = env.start(flags).await;
    let requests = apply(&env, "hangs", 20).await;
    all_are_restored(&env, &requests).await;
    collector.until_batches(1).await;

    stops_soon(&mut operator).await;

    assert!(collector.requests() <= 2, "{} batches at the same time", collector.requests());
}

#[tokio::test]
async fn a_collector_that_recovers_gets_new_spans_and_each_change_is_logged_once() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    collector.behaves(Behavior::Refuses);
    let operator = env.start(collector.flags()).await;
    for number in 0..3 {
        let asked = collector.requests();
        let requests = apply(&env, &format!("refused-{number}"), 1).await;
        all_are_restored(&env, &requests).await;
        collector.until_batches(asked + 1).await;
    }
    assert_eq!(collector.spans().len(), 0);
    collector.behaves(Behavior::Takes);
    let requests = apply(&env, "taken", 1).await;
    all_are_restored(&env, &requests).await;

    operator.wait_for_log("traces reach the collector again").await;

    assert_eq!(warnings(&operator), 1, "{}", operator.log());
    assert!(operator.wait_for_log(LOST).await.contains("503"));
}

#[tokio::test]
async fn spans_that_end_just_before_the_shutdown_are_still_sent() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let flags = collector.flags().env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut operator = env.start(flags).await;
    let requests = apply(&env, "last", 1).await;
    all_are_restored(&env, &requests).await;
    assert_eq!(collector.requests(), 0, "it was sent too early");

    stops_soon(&mut operator).await;

    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert!(names.contains(&"ConnectorRestore".to_owned()), "{names:?}");
}
