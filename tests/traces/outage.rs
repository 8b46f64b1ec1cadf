//! A collector that is of no use costs nothing; neither do traces that are off.

use std::fs;
use std::time::{Duration, Instant};

use cde_sandbox::cde::{Fault, Operation};
use tokio::net::TcpListener;

use crate::collector::{Collector, Manner};
use crate::world::{Flags, Kind, Operator, Request, World};

/// Each its own warning, if any.
const LOST: &str = "traces do not reach the collector";
/// Far below what a request to the collector may take.
const SOON: Duration = Duration::from_secs(5);

async fn apply(world: &World, what: &str, count: usize) -> Vec<Request> {
    let harmless = || Fault::on(Operation::Any).times(0);
    let requests: Vec<Request> = (0..count)
        .map(|number| world.request(Kind::Restore, &format!("{what}-{number}"), harmless()))
        .collect();
    world.apply_all(requests.iter().map(Request::manifest)).await;
    requests
}

async fn all_are_restored(world: &World, requests: &[Request]) {
    for request in requests {
        world.comes_to(request, "Restored").await;
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

/// The names of its threads.
fn threads(operator: &Operator) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", operator.process.id())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test]
async fn off_by_default_nothing_is_sent_nobody_is_told_and_no_thread_waits() {
    let (world, collector) = (World::new().await, Collector::start().await);
    let off = Flags::brisk().env("CDE_OTLP_ENDPOINT", "").env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let disabled =
        off.clone().env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_SDK_DISABLED", "true");
    for (name, flags) in [("off", off), ("disabled", disabled)] {
        let mut operator = world.start(flags).await;
        let requests = apply(&world, name, 1).await;
        all_are_restored(&world, &requests).await;
        let threads = threads(&operator);
        assert!(!threads.iter().any(|name| name.starts_with("OpenTelemetry")), "{threads:?}");
        let call = &world.attempts(&requests[0])[0];
        assert_eq!(call.traceparent, None);
        stops_soon(&mut operator).await;
    }
    assert_eq!(collector.requests(), 0);
}

#[tokio::test]
async fn a_collector_that_is_down_slows_nothing_and_is_told_of_once() {
    let world = World::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let flags = Flags::brisk().env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut operator =
        world.start(flags.env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{closed}"))).await;
    let requests = apply(&world, "down", 5).await;
    all_are_restored(&world, &requests).await;
    operator.says(LOST).await;
    let more = apply(&world, "still-down", 5).await;
    all_are_restored(&world, &more).await;

    stops_soon(&mut operator).await;

    assert_eq!(warnings(&operator), 1, "{}", operator.log());
}

#[tokio::test]
async fn a_collector_that_hangs_slows_nothing_not_even_the_end() {
    let (world, collector) = (World::new().await, Collector::start().await);
    collector.behaves(Manner::Hangs);
    // The queue is soon full.
    let flags =
        collector.flags().env("OTEL_BSP_MAX_QUEUE_SIZE", "4").env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2");
    let mut operator = world.start(flags).await;
    let requests = apply(&world, "hangs", 20).await;
    all_are_restored(&world, &requests).await;
    collector.is_asked(1).await;

    stops_soon(&mut operator).await;

    assert!(collector.requests() <= 2, "{} batches at the same time", collector.requests());
}

#[tokio::test]
async fn a_collector_that_comes_back_gets_what_is_new_and_the_log_says_each_once() {
    let (world, collector) = (World::new().await, Collector::start().await);
    collector.behaves(Manner::Refuses);
    let operator = world.start(collector.flags()).await;
    for number in 0..3 {
        let asked = collector.requests();
        let requests = apply(&world, &format!("refused-{number}"), 1).await;
        all_are_restored(&world, &requests).await;
        collector.is_asked(asked + 1).await;
    }
    assert_eq!(collector.spans().len(), 0);
    collector.behaves(Manner::Takes);
    let requests = apply(&world, "taken", 1).await;
    all_are_restored(&world, &requests).await;

    operator.says("traces reach the collector again").await;

    assert_eq!(warnings(&operator), 1, "{}", operator.log());
    assert!(operator.says(LOST).await.contains("503"));
}

#[tokio::test]
async fn what_ended_just_before_the_end_is_sent_before_it() {
    let (world, collector) = (World::new().await, Collector::start().await);
    let flags = collector.flags().env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut operator = world.start(flags).await;
    let requests = apply(&world, "last", 1).await;
    all_are_restored(&world, &requests).await;
    assert_eq!(collector.requests(), 0, "it was sent before its time");

    stops_soon(&mut operator).await;

    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert!(names.contains(&"ConnectorRestore".to_owned()), "{names:?}");
}
