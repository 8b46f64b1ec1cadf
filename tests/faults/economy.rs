//! What the operator costs the API server and the CDE API: counted in the audit log and in the ledger.

use std::time::Instant;

use cde_sandbox::cde::{Fault, Operation, Sandbox};
use cde_sandbox::control_plane::AuditEvent;
use cde_sandbox::proxy::{Call, Point, Proxy, Rule};
use serde_json::json;

use crate::request::{Request, a_rollback, apply, both, lists, many, until, watch_expired};
use crate::world::{Flags, LIMIT, Operator, POLL, Plane, World, property};

/// What the operator has written so far in the world's namespace.
fn written(world: &World) -> Vec<AuditEvent> {
    world.operator_writes("")
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

/// Waits until so many Events in all have been created, and gives all writes.
async fn until_events(world: &World, count: usize) -> Vec<AuditEvent> {
    let begun = Instant::now();
    loop {
        let writes = written(world);
        if writes.iter().filter(|event| event.resource == "events").count() >= count {
            return writes;
        }
        assert!(begun.elapsed() < LIMIT, "{count} Events have not come: {writes:#?}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_request_without_trouble_costs_two_writes_one_call_and_one_event_and_a_rollback_one_read_more() {
    let (world, _operator) = World::with_operator().await;
    let requests = many(&world.sandbox, 10);
    apply(&world, &requests).await;
    for request in &requests {
        request.succeeds(&world).await;
    }
    until_events(&world, requests.len()).await;
    world.later().await;

    let mut writes = written(&world);

    writes.retain(|event| !event.name.starts_with("marker-"));
    for request in &requests {
        let statuses = about(&writes, request, "status");
        assert_eq!(statuses.len(), 2, "{statuses:#?}");
        assert!(statuses.iter().all(|event| event.code == 200 && event.verb == "update"), "{statuses:#?}");
        assert_eq!(request.calls(&world.sandbox).len(), 1);
        assert_eq!(request.reads(&world.sandbox), usize::from(request.success() == "RolledBack"));
        assert_eq!(world.events(&request.name).await.len(), 1);
    }
    assert_eq!(writes.len(), 3 * requests.len(), "two statuses and an Event each: {writes:#?}");
}

#[tokio::test]
async fn a_restart_with_finished_requests_costs_no_write_and_no_call() {
    let (world, mut first) = World::with_operator().await;
    let requests = many(&world.sandbox, 50);
    apply(&world, &requests).await;
    for request in &requests {
        request.succeeds(&world).await;
    }
    until_events(&world, requests.len()).await;
    assert_eq!(first.terminate().await, Some(0));
    let (writes, calls) = (written(&world), world.sandbox.ledger().total());
    let proxy = Proxy::start(&world.plane).await.unwrap();
    let second = world.start_behind(&proxy, Flags::default()).await;
    let listed: u64 = proxy.ledger().iter().filter(|it| is_list(&it.call)).map(|it| it.response_bytes).sum();
    assert!((1..2_000).contains(&listed), "{listed} bytes for two empty lists");
    world.later().await;

    let more: Vec<AuditEvent> = written(&world).split_off(writes.len());

    assert!(more.iter().all(|event| event.name.starts_with("marker-")), "{more:#?}");
    let ledger = world.sandbox.ledger();
    assert_eq!(ledger.total(), calls + 2, "two calls for the marker alone\n{ledger}");
    for request in &requests {
        let named = format!("{}/{}\"", world.namespace, request.name);
        assert!(!second.log().contains(&named), "{} is looked at\n{}", request.name, second.log());
    }
}

#[tokio::test]
async fn an_outage_costs_the_api_server_no_more_than_two_writes_for_each_call_that_was_tried() {
    let (world, operator) = World::with_operator().await;
    world.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    let requests = many(&world.sandbox, 10);
    apply(&world, &requests).await;
    operator.says("the CDE API is down").await;
    let noticed = usize::try_from(world.sandbox.ledger().total()).unwrap();
    world.sandbox.wait_for(|ledger| ledger.calls().len() >= noticed + 6, LIMIT).await.unwrap();

    let statuses =
        |writes: Vec<AuditEvent>| writes.iter().filter(|event| event.subresource == "status").count();
    // The ledger is read last: a write that is not counted here belongs to a call that is.
    let writes = statuses(written(&world));
    let calls = world.sandbox.ledger().calls().len();

    assert!(writes <= 2 * calls + requests.len(), "{writes} writes for {calls} calls");
    world.sandbox.clear_faults();
    for request in &requests {
        request.succeeds(&world).await;
        assert_eq!(world.sandbox.effects(request.id), 1);
        let events = world.events(&request.name).await;
        assert!(events.len() <= 2, "more than a first wait and an end: {events:#?}");
    }
}

#[tokio::test]
async fn when_an_outage_ends_nobody_waits_for_requests_that_were_deleted_meanwhile() {
    let world = World::new().await;
    let mut operator = world.start(Flags::brisk().with("--concurrency", "2")).await;
    world.sandbox.inject(Fault::on(Operation::Any).answer(503).always());
    let (gone, left) = (many(&world.sandbox, 20), both(&world.sandbox, "left"));
    apply(&world, &gone).await;
    operator.says("the CDE API is down").await;
    apply(&world, &left).await;
    for request in gone.iter().chain(&left) {
        world.sees(request.kind, &request.name, "seen", |object| !object.reason().is_empty()).await;
    }
    let others = ["delete", "mrb,crst", "--wait=false", "--field-selector=metadata.name!=left"];
    world.kubectl(&others, "").await;
    let begun = Instant::now();
    while open_objects(&mut operator).await != left.len() {
        assert!(begun.elapsed() < LIMIT, "the others are not gone");
        tokio::time::sleep(POLL).await;
    }

    world.sandbox.clear_faults();

    let begun = Instant::now();
    for request in &left {
        request.succeeds(&world).await;
    }
    assert!(begun.elapsed().as_secs() < 12, "it took {:?}", begun.elapsed());
}

/// How many open objects the figures count.
async fn open_objects(operator: &mut Operator) -> usize {
    let (_, figures) = operator.probe("/metrics").await.expect("figures");
    let counts = figures.lines().filter(|line| line.starts_with("cde_operator_objects{"));
    counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum()
}

#[tokio::test]
async fn a_request_that_was_claimed_for_another_address_is_left_alone_and_counted() {
    let world = World::new().await;
    let elsewhere = Sandbox::builder().token(world.sandbox.token()).start().await.unwrap();
    let mut first = world.start(Flags::default().env("CDE_URL", &elsewhere.url())).await;
    let claimed = a_rollback(&elsewhere, "claimed");
    let never_claimed = a_rollback(&world.sandbox, "never-claimed");
    elsewhere.inject(Fault::on(Operation::Rollback).answer(423).always());
    apply(&world, std::slice::from_ref(&claimed)).await;
    let waiting = claimed.reaches(&world, "Retrying").await;
    let server = waiting.operation()["server"].as_str().unwrap().trim_end_matches('/');
    assert_eq!(server, elsewhere.url());
    first.kill();
    let left = claimed.look(&world).await;
    world.apply(&never_claimed.manifest()).await;

    let mut operator = world.start(Flags::default()).await;

    never_claimed.succeeds(&world).await;
    let line = operator.says("claimed for another base address").await;
    assert!(line.contains(&elsewhere.url()) && line.contains("/claimed\""), "{line}");
    let (_, figures) = operator.probe("/metrics").await.unwrap();
    assert!(figures.lines().any(|line| line == "cde_operator_foreign_objects 1"), "{figures}");
    world.later().await;
    assert_eq!(claimed.look(&world).await.0, left.0);
    assert!(world.sandbox.calls(Operation::Any, claimed.id).is_empty());
    assert_eq!(operator.log().matches("claimed for another base address").count(), 1);
}

/// Definitions that let through what this operator does not know; seen in the list, in the watch, and again.
#[tokio::test]
async fn an_object_that_cannot_be_decoded_is_logged_once_and_the_others_go_on() {
    let world = World::on(Plane::own().await).await;
    world.plane.define_kinds_otherwise(|status| property(status, "reason").enum_ = None).await;
    let [listed, watched] = ["listed", "watched"].map(|name| a_rollback(&world.sandbox, name));
    apply(&world, std::slice::from_ref(&listed)).await;
    make_odd(&world, &listed).await;
    let proxy = Proxy::start(&world.plane).await.unwrap();
    let mut operator = world.start_behind(&proxy, Flags::default()).await;
    is_logged(&operator, &listed).await;
    let requests = both(&world.sandbox, "sound");
    apply(&world, &requests).await;
    for request in &requests {
        request.succeeds(&world).await;
    }
    world.apply(&watched.manifest().spec("suspend", true)).await;
    watched.reaches(&world, "Suspended").await;
    make_odd(&world, &watched).await;
    is_logged(&operator, &watched).await;

    proxy.answer(Rule::watch("migrationrollbacks"), Point::BeforeForward, 200, &[], watch_expired());
    let listed_so_far = proxy.count(&lists("migrationrollbacks"));
    proxy.cut_watches();
    until("another list", || proxy.count(&lists("migrationrollbacks")) > listed_so_far).await;
    world.later().await;

    for odd in [&listed, &watched] {
        let named = format!("\"{}\"", odd.name);
        let log = operator.log();
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains("cannot be decoded") && line.contains(&named)).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_eq!(odd.look(&world).await.status()["reason"], "Novel");
        assert!(world.sandbox.calls(Operation::Changing, odd.id).is_empty());
    }
    let (_, figures) = operator.probe("/metrics").await.unwrap();
    let count = r#"cde_operator_undecodable_objects_total{kind="MigrationRollback"} 2"#;
    assert!(figures.lines().any(|line| line == count), "{figures}");
    let stand = r#"cde_operator_objects{kind="MigrationRollback",reason="Undecodable"} 2"#;
    assert!(figures.lines().any(|line| line == stand), "{figures}");
    world.delete(watched.kind, &watched.name).await;
    let begun = Instant::now();
    while open_objects(&mut operator).await != 1 {
        assert!(begun.elapsed() < LIMIT, "the one that was deleted still counts");
        tokio::time::sleep(POLL).await;
    }
}

async fn is_logged(operator: &Operator, odd: &Request) {
    let named = format!("\"{}\"", odd.name);
    until("the line about the object", || {
        operator.log().lines().any(|line| line.contains("cannot be decoded") && line.contains(&named))
    })
    .await;
}

/// Gives the object a reason that this operator does not know.
async fn make_odd(world: &World, request: &Request) {
    let patch = json!({"status": {"reason": "Novel"}}).to_string();
    let args =
        ["patch", request.plural(), &request.name, "--subresource=status", "--type=merge", "-p", &patch];
    world.kubectl(&args, "").await;
}
