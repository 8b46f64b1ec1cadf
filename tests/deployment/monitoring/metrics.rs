//! Metrics about the state of the process, and about how long something has waited.

use std::collections::BTreeMap;
use std::time::Instant;

use cde_sandbox::cde::{Fault, Operation};
use jiff::Timestamp;

use crate::monitoring::fixture::{a_rollback, fast_retries, populate};
use crate::tools::{own_control_plane, test_env, with_operator};
use cde_harness::{Flags, Kind, LIMIT, Operator, POLL, TestEnv};

const USABLE: &str = "cde_operator_token_file_usable";
const READ: &str = "cde_operator_token_read_timestamp_seconds";
const OLDEST: &str =
    r#"cde_operator_oldest_object_timestamp_seconds{kind="MigrationRollback",reason="Retrying"}"#;

/// The samples of `/metrics` by name and labels.
type Samples = BTreeMap<String, String>;

async fn samples(operator: &mut Operator) -> Samples {
    let Some((_, text)) = operator.probe("/metrics").await else { return Samples::new() };
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Waits until the metrics satisfy `condition`.
async fn until(operator: &mut Operator, what: &str, condition: impl Fn(&Samples) -> bool) -> Samples {
    let begun = Instant::now();
    loop {
        let all = samples(operator).await;
        if condition(&all) {
            return all;
        }
        assert!(begun.elapsed() < LIMIT, "timed out waiting for: {what}: {all:#?}\n{}", operator.log());
        tokio::time::sleep(POLL).await;
    }
}

fn value<'a>(all: &'a Samples, name: &str) -> Option<&'a str> {
    all.get(name).map(String::as_str)
}

fn number(all: &Samples, name: &str) -> Option<f64> {
    value(all, name)?.parse().ok()
}

#[tokio::test]
async fn missing_prerequisites_show_until_the_work_begins() {
    let env = TestEnv::on(own_control_plane().await).await;
    let mut operator = env.start(Flags::default().without_readiness_wait()).await;
    operator.wait_for_log("apply crds/").await;
    let all = samples(&mut operator).await;
    for (name, expected) in [
        ("cde_operator_crds_ready", Some("0")),
        ("cde_operator_leader", Some("0")),
        ("cde_operator_synced", None),
        ("cde_operator_watch_silence_seconds", None),
    ] {
        assert_eq!(value(&all, name), expected, "{name}");
    }

    env.control_plane.apply_crds().await;

    let works = |all: &Samples| {
        ["cde_operator_crds_ready", "cde_operator_leader", "cde_operator_synced"]
            .iter()
            .all(|name| value(all, name) == Some("1"))
    };
    let all = until(&mut operator, "it works", works).await;
    assert!(
        number(&all, "cde_operator_watch_silence_seconds").is_some_and(|seconds| seconds < 60.0),
        "{all:#?}"
    );
}

#[tokio::test]
async fn one_of_two_replicas_leads_and_both_name_the_lease() {
    let env = test_env().await;
    let flags = || Flags::default().env("CDE_LEADER_ELECTION", "true");
    let (mut first, mut second) = (env.start(flags()).await, env.start(flags()).await);
    let leads = |all: &Samples| {
        all.iter()
            .find(|(name, _)| name.starts_with("cde_operator_leader{lease=\"cde-operator-"))
            .map(|(name, value)| (name.clone(), value.clone()))
    };
    let one = until(&mut first, "it leads", |all| leads(all).is_some_and(|(_, value)| value == "1")).await;
    let other = samples(&mut second).await;
    assert_eq!(leads(&other).map(|(_, value)| value).as_deref(), Some("0"));
    assert_eq!(leads(&one).map(|(name, _)| name), leads(&other).map(|(name, _)| name));
    let (name, _) = leads(&one).unwrap();
    let lease = name.split('"').nth(1).unwrap();
    let held = ["get", "lease", lease, "-n", "cde-operator-system", "-o", "jsonpath={.spec.holderIdentity}"];
    assert!(env.control_plane.kubectl_ok(&held, "").await.unwrap().starts_with("operator-"));

    first.terminate().await;

    until(&mut second, "it takes over", |all| leads(all).is_some_and(|(_, value)| value == "1")).await;
}

#[tokio::test]
async fn the_start_time_of_an_open_request_survives_retries_and_restarts() {
    let env = test_env().await;
    let begun = Timestamp::now().as_second();
    let mut operator = env.start(fast_retries()).await;
    let (waits, id) = a_rollback(&env.sandbox, "waits");
    env.sandbox.inject(Fault::on(Operation::Changing).connector(id).answer(423).always());
    env.apply(&waits).await;
    env.wait_until(Kind::Rollback, "waits", "tried again", |object| object.attempts() > 2).await;

    let all = until(&mut operator, "it waits", |all| value(all, OLDEST).is_some()).await;
    let since = value(&all, OLDEST).unwrap().to_owned();
    let object = env.get(Kind::Rollback, "waits").await;
    let ready: Timestamp = object.condition("Ready")["lastTransitionTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(since, ready.as_second().to_string());
    assert!((begun..=Timestamp::now().as_second()).contains(&ready.as_second()));

    operator.kill();
    let mut operator = env.start(fast_retries()).await;
    until(&mut operator, "the metric is as before", |all| value(all, OLDEST) == Some(&since)).await;
}

#[tokio::test]
async fn every_counter_in_an_alert_exists_before_the_first_event() {
    let (env, mut operator) = with_operator().await;
    let failed = r#"cde_operator_requests_finished_total{kind="MigrationRollback",outcome="Failed",reason="NotFound"}"#;
    let odd = r#"cde_operator_undecodable_objects_total{kind="ConnectorRestore"}"#;
    let all = samples(&mut operator).await;
    assert_eq!((value(&all, failed), value(&all, odd)), (Some("0"), Some("0")));

    populate(&env).await;

    let all = samples(&mut operator).await;
    assert_eq!(value(&all, failed), Some("1"));
    let stored = r#"cde_operator_status_writes_total{kind="MigrationRollback",result="stored"}"#;
    assert!(number(&all, stored).is_some_and(|count| count > 5.0), "{all:#?}");
    let took = r#"cde_operator_request_duration_seconds_count{kind="MigrationRollback"}"#;
    assert_eq!(value(&all, took), Some("3"), "done, of unknown outcome, failed");
}

#[tokio::test]
async fn the_metrics_show_a_missing_token_file_and_a_new_token() {
    let (env, mut operator) = with_operator().await;
    let first = samples(&mut operator).await;
    assert_eq!(value(&first, USABLE), Some("1"));

    std::fs::remove_file(env.token_file()).unwrap();
    let gone = until(&mut operator, "the file is gone", |all| value(all, USABLE) == Some("0")).await;
    assert_eq!(value(&gone, READ), value(&first, READ), "the last token stays in use");

    std::fs::write(env.token_file(), "another-token").unwrap();
    let second = until(&mut operator, "the file is back", |all| value(all, USABLE) == Some("1")).await;
    assert!(number(&second, READ) > number(&first, READ), "{second:#?}");
}
