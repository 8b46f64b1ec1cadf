//! What the operator costs the API server and the CDE API, counted in the audit log and in the ledger.

use std::time::Instant;

use cde_sandbox::cde::{Fault, Operation, Sandbox};
use cde_sandbox::control_plane::AuditEvent;
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use serde_json::json;

use crate::faults::request::{Request, a_rollback, apply, both, lists, many, until, watch_expired};
use cde_harness::{ControlPlane, Flags, LIMIT, Operator, POLL, TestEnv, property};

/// Returns what the operator has written so far in the environment's namespace.
fn written(env: &TestEnv) -> Vec<AuditEvent> {
    env.operator_writes("")
}

fn about<'a>(writes: &'a [AuditEvent], request: &Request, subresource: &str) -> Vec<&'a AuditEvent> {
    let is_meant = |event: &&AuditEvent| {
        event.resource == request.plural() && event.subresource == subresource && event.name == request.name
    };
    writes.iter().filter(is_meant).collect()
}

fn is_list(call: &Call) -> bool {
    ["migrationrollbacks", "connectorrestores"].iter().any(|plural| lists(plural).matches(call))
}

/// Waits until this many Events have been created, and returns all writes.
async fn until_events(env: &TestEnv, count: usize) -> Vec<AuditEvent> {
    let begun = Instant::now();
    loop {
        let writes = written(env);
        if writes.iter().filter(|event| event.resource == "events").count() >= count {
            return writes;
        }
        assert!(begun.elapsed() < LIMIT, "{count} Events have not come: {writes:#?}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_smooth_request_costs_two_writes_one_call_one_event_and_for_a_rollback_one_read() {
    let (env, _operator) = TestEnv::with_operator().await;
    let requests = many(&env.sandbox, 10);
    apply(&env, &requests).await;
    for request in &requests {
        request.succeeds(&env).await;
    }
    until_events(&env, requests.len()).await;
    env.settle().await;

    let mut writes = written(&env);

    writes.retain(|event| !event.name.starts_with("marker-"));
    for request in &requests {
        let statuses = about(&writes, request, "status");
        assert_eq!(statuses.len(), 2, "{statuses:#?}");
        assert!(statuses.iter().all(|event| event.code == 200 && event.verb == "update"), "{statuses:#?}");
        assert_eq!(request.calls(&env.sandbox).len(), 1);
        assert_eq!(request.reads(&env.sandbox), usize::from(request.success() == "RolledBack"));
        assert_eq!(env.events(&request.name).await.len(), 1);
    }
    assert_eq!(writes.len(), 3 * requests.len(), "two statuses and an Event each: {writes:#?}");
}

#[tokio::test]
async fn a_restart_with_finished_requests_costs_no_write_and_no_call() {
    let (env, mut first) = TestEnv::with_operator().await;
    let requests = many(&env.sandbox, 50);
    apply(&env, &requests).await;
    for request in &requests {
        request.succeeds(&env).await;
    }
    until_events(&env, requests.len()).await;
    assert_eq!(first.terminate().await, Some(0));
    let (writes, calls) = (written(&env), env.sandbox.ledger().total());
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let second = env.start_behind(&proxy, Flags::default()).await;
    let listed: u64 = proxy.ledger().iter().filter(|it| is_list(&it.call)).map(|it| it.response_bytes).sum();
    assert!((1..2_000).contains(&listed), "{listed} bytes for two empty lists");
    env.settle().await;

    let more: Vec<AuditEvent> = written(&env).split_off(writes.len());

    assert!(more.iter().all(|event| event.name.starts_with("marker-")), "{more:#?}");
    let ledger = env.sandbox.ledger();
    assert_eq!(ledger.total(), calls + 2, "two calls for the marker alone\n{ledger}");
    for request in &requests {
        let named = format!("{}/{}\"", env.namespace, request.name);
        assert!(!second.log().contains(&named), "{} is reconciled\n{}", request.name, second.log());
    }
}

#[tokio::test]
async fn an_outage_costs_the_api_server_at_most_two_writes_per_attempted_call() {
    let (env, operator) = TestEnv::with_operator().await;
    env.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    let requests = many(&env.sandbox, 10);
    apply(&env, &requests).await;
    operator.wait_for_log("the CDE API is down").await;
    let noticed = usize::try_from(env.sandbox.ledger().total()).unwrap();
    env.sandbox.wait_for(|ledger| ledger.calls().len() >= noticed + 6, LIMIT).await.unwrap();

    let statuses =
        |writes: Vec<AuditEvent>| writes.iter().filter(|event| event.subresource == "status").count();
    // The ledger is read last. A write that is not counted here belongs to a call that is.
    let writes = statuses(written(&env));
    let calls = env.sandbox.ledger().calls().len();

    assert!(writes <= 2 * calls + requests.len(), "{writes} writes for {calls} calls");
    env.sandbox.clear_faults();
    for request in &requests {
        request.succeeds(&env).await;
        assert_eq!(env.sandbox.effects(request.id), 1);
        let events = env.events(&request.name).await;
        assert!(events.len() <= 2, "more than a first wait and an end: {events:#?}");
    }
}

#[tokio::test]
async fn requests_deleted_during_an_outage_delay_no_other_request_after_it() {
    let env = TestEnv::new().await;
    let mut operator = env.start(Flags::fast_retries().with("--concurrency", "2")).await;
    env.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    let (gone, left) = (many(&env.sandbox, 20), both(&env.sandbox, "left"));
    apply(&env, &gone).await;
    operator.wait_for_log("the CDE API is down").await;
    apply(&env, &left).await;
    for request in gone.iter().chain(&left) {
        env.wait_until(request.kind, &request.name, "seen", |object| !object.reason().is_empty()).await;
    }
    let others = ["delete", "mrb,crst", "--wait=false", "--field-selector=metadata.name!=left"];
    env.kubectl(&others, "").await;
    let begun = Instant::now();
    while open_objects(&mut operator).await != left.len() {
        assert!(begun.elapsed() < LIMIT, "the others are not deleted");
        tokio::time::sleep(POLL).await;
    }

    env.sandbox.clear_faults();

    let begun = Instant::now();
    for request in &left {
        request.succeeds(&env).await;
    }
    assert!(begun.elapsed().as_secs() < 12, "it took {:?}", begun.elapsed());
}

/// Returns the number of open objects in the metrics.
async fn open_objects(operator: &mut Operator) -> usize {
    let (_, metrics) = operator.probe("/metrics").await.expect("metrics");
    let counts = metrics.lines().filter(|line| line.starts_with("cde_operator_objects{"));
    counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum()
}

#[tokio::test]
async fn a_request_claimed_for_another_base_url_is_left_alone_and_counted() {
    let env = TestEnv::new().await;
    let elsewhere = Sandbox::builder().token(env.sandbox.token()).start().await.unwrap();
    let mut first = env.start(Flags::default().env("CDE_URL", &elsewhere.url())).await;
    let claimed = a_rollback(&elsewhere, "claimed");
    let never_claimed = a_rollback(&env.sandbox, "never-claimed");
    elsewhere.inject(Fault::on(Operation::Rollback).answer(423).always());
    apply(&env, std::slice::from_ref(&claimed)).await;
    let waiting = claimed.wait_for_reason(&env, "Retrying").await;
    let server = waiting.operation()["server"].as_str().unwrap().trim_end_matches('/');
    assert_eq!(server, elsewhere.url());
    first.kill();
    let left = claimed.get(&env).await;
    env.apply(&never_claimed.manifest()).await;

    let mut operator = env.start(Flags::default()).await;

    never_claimed.succeeds(&env).await;
    let line = operator.wait_for_log("claimed for another base URL").await;
    assert!(line.contains(&elsewhere.url()) && line.contains("\"name\":\"claimed\""), "{line}");
    let (_, metrics) = operator.probe("/metrics").await.unwrap();
    assert!(metrics.lines().any(|line| line == "cde_operator_foreign_objects 1"), "{metrics}");
    env.settle().await;
    assert_eq!(claimed.get(&env).await.0, left.0);
    assert!(env.sandbox.calls(Operation::Any, claimed.id).is_empty());
    assert_eq!(operator.log().matches("claimed for another base URL").count(), 1);
}

/// The CRDs accept values that this operator does not know. It gets them in the list, in the watch, and again.
#[tokio::test]
async fn an_undecodable_object_is_logged_once_and_the_others_continue() {
    let env = TestEnv::on(ControlPlane::own().await).await;
    env.control_plane.apply_crds_with_status(|status| property(status, "reason").enum_ = None).await;
    let [listed, watched] = ["listed", "watched"].map(|name| a_rollback(&env.sandbox, name));
    apply(&env, std::slice::from_ref(&listed)).await;
    make_odd(&env, &listed).await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let mut operator = env.start_behind(&proxy, Flags::default()).await;
    is_logged(&operator, &listed).await;
    let requests = both(&env.sandbox, "sound");
    apply(&env, &requests).await;
    for request in &requests {
        request.succeeds(&env).await;
    }
    env.apply(&watched.manifest().spec("suspend", true)).await;
    watched.wait_for_reason(&env, "Suspended").await;
    make_odd(&env, &watched).await;
    is_logged(&operator, &watched).await;

    proxy.answer(Rule::watch("migrationrollbacks"), Point::BeforeForward, 200, &[], watch_expired());
    let listed_so_far = proxy.count(&lists("migrationrollbacks"));
    proxy.cut_watches();
    until("another list", || proxy.count(&lists("migrationrollbacks")) > listed_so_far).await;
    env.settle().await;

    for odd in [&listed, &watched] {
        let named = format!("\"{}\"", odd.name);
        let log = operator.log();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("cannot decode the object") && line.contains(&named))
            .collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_eq!(odd.get(&env).await.status()["reason"], "Novel");
        assert!(env.sandbox.calls(Operation::Changing, odd.id).is_empty());
    }
    let (_, metrics) = operator.probe("/metrics").await.unwrap();
    let count = r#"cde_operator_undecodable_objects_total{kind="MigrationRollback"} 2"#;
    assert!(metrics.lines().any(|line| line == count), "{metrics}");
    let stand = r#"cde_operator_objects{kind="MigrationRollback",reason="Undecodable"} 2"#;
    assert!(metrics.lines().any(|line| line == stand), "{metrics}");
    env.delete(watched.kind, &watched.name).await;
    let begun = Instant::now();
    while open_objects(&mut operator).await != 1 {
        assert!(begun.elapsed() < LIMIT, "the one that was deleted still counts");
        tokio::time::sleep(POLL).await;
    }
}

async fn is_logged(operator: &Operator, odd: &Request) {
    let named = format!("\"{}\"", odd.name);
    until("the line about the object", || {
        operator.log().lines().any(|line| line.contains("cannot decode the object") && line.contains(&named))
    })
    .await;
}

/// Gives the object a reason that this operator does not know.
async fn make_odd(env: &TestEnv, request: &Request) {
    let patch = json!({"status": {"reason": "Novel"}}).to_string();
    let args =
        ["patch", request.plural(), &request.name, "--subresource=status", "--type=merge", "-p", &patch];
    env.kubectl(&args, "").await;
}
