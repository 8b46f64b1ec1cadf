//! Holding calls, the ledger, going down and up, and the end of a sandbox.

use std::time::Duration;

use cde_sandbox::cde::{Answered, Connector, Error, Fault, HoldPoint, Operation, Sandbox, new_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::client::{read, rollback, rollback_path, send, send_with};

const PATIENCE: Duration = Duration::from_secs(20);

async fn migrated() -> (Sandbox, Uuid) {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), new_id());
    sandbox.put(Connector::migrated(id));
    (sandbox, id)
}

fn calling(sandbox: &Sandbox, id: Uuid) -> tokio::task::JoinHandle<crate::client::Got> {
    let sandbox = sandbox.clone();
    tokio::spawn(async move { rollback(&sandbox, id).await })
}

#[tokio::test]
async fn a_held_call_waits_before_or_after_its_effect_until_it_is_released() {
    for (point, effects) in [(HoldPoint::BeforeEffect, 0), (HoldPoint::AfterEffect, 1)] {
        let (sandbox, id) = migrated().await;
        let mut held = sandbox.hold(Operation::Rollback, id, point);
        let call = calling(&sandbox, id);
        held.arrived().await.unwrap();
        held.arrived().await.unwrap();
        assert_eq!(sandbox.effects(id), effects);
        assert_eq!(sandbox.calls(Operation::Any, id)[0].answered, Answered::Pending);
        held.release();
        assert_eq!(call.await.unwrap().status, 200);
        assert_eq!(sandbox.effects(id), 1);
        assert_eq!(rollback(&sandbox, id).await.status, 200, "one hold holds one call");
    }
}

#[tokio::test]
async fn a_held_call_that_is_cut_gets_no_response() {
    for (point, effects) in [(HoldPoint::BeforeEffect, 0), (HoldPoint::AfterEffect, 1)] {
        let (sandbox, id) = migrated().await;
        let mut held = sandbox.hold(Operation::Rollback, id, point);
        let call = calling(&sandbox, id);
        held.arrived().await.unwrap();
        held.cut();
        assert_eq!(call.await.unwrap().status, 0);
        assert_eq!(sandbox.effects(id), effects);
    }
}

#[tokio::test]
async fn a_dropped_hold_holds_nothing() {
    let (sandbox, id) = migrated().await;
    drop(sandbox.hold(Operation::Rollback, id, HoldPoint::BeforeEffect));
    let mut other = sandbox.hold(Operation::Rollback, new_id(), HoldPoint::BeforeEffect);
    assert_eq!(rollback(&sandbox, id).await.status, 200);
    let error = other.arrived_within(Duration::from_millis(10)).await.unwrap_err();
    assert!(matches!(error, Error::NotArrived(_)), "{error}");
}

#[tokio::test]
async fn a_call_takes_effect_although_its_client_went_away() {
    let (sandbox, id) = migrated().await;
    let mut held = sandbox.hold(Operation::Rollback, id, HoldPoint::BeforeEffect);
    let call = calling(&sandbox, id);
    held.arrived().await.unwrap();
    call.abort();
    let gone = |answered| answered == Answered::Abandoned;
    sandbox.wait_for(|ledger| gone(ledger.calls()[0].answered), PATIENCE).await.unwrap();
    assert_eq!(sandbox.effects(id), 0);
    held.release();
    sandbox.wait_for(|ledger| ledger.effects(id) == 1, PATIENCE).await.unwrap();
    assert_eq!(sandbox.calls(Operation::Rollback, id)[0].answered, Answered::Abandoned);
}

#[tokio::test]
async fn the_ledger_shows_each_call_in_order_and_never_the_token() {
    let (sandbox, id) = migrated().await;
    let token = sandbox.token();
    let headers = format!(
        "Authorization: Bearer {token}\r\nIdempotency-Key: key\r\nX-Request-Id: key-1\r\nUser-Agent: me\r\n"
    );
    send_with(&sandbox, "POST", &rollback_path(id, "main"), &headers, "").await;
    send_with(&sandbox, "GET", &format!("/connectors/{id}?a=b"), "Authorization: Bearer no\r\n", "").await;
    send_with(&sandbox, "GET", "/nowhere", "", "").await;
    let ledger = sandbox.ledger();
    let [first, second, third] = ledger.calls() else { panic!("{ledger}") };
    assert_eq!((first.sequence, second.sequence, third.sequence), (1, 2, 3));
    assert_eq!(
        (first.operation, second.operation, third.operation),
        (Some(Operation::Rollback), Some(Operation::Read), None)
    );
    assert_eq!((first.connector, first.version.as_deref()), (Some(id), Some("main")));
    assert_eq!(first.idempotency_key.as_deref(), Some("key"));
    assert_eq!((first.request_id.as_deref(), first.user_agent.as_deref()), (Some("key-1"), Some("me")));
    assert_eq!((first.authorization, first.authorized, first.effect), (true, true, true));
    assert_eq!((second.authorization, second.authorized, second.effect), (true, false, false));
    assert_eq!((third.authorization, third.authorized), (false, false));
    assert_eq!(second.path, format!("/connectors/{id}?a=b"));
    let answers = [first.answered, second.answered, third.answered];
    assert_eq!(answers, [200, 401, 404].map(Answered::Status));
    assert!(first.connection < second.connection && first.at <= second.at);
    assert_eq!(sandbox.calls(Operation::Any, id).len(), 2);
    let shown = format!("{ledger}{ledger:?}{}", serde_json::to_string(&ledger).unwrap());
    assert!(!shown.contains(&token) && shown.contains("key-1"));
}

#[tokio::test]
async fn calls_on_one_connection_have_its_number() {
    let (sandbox, id) = migrated().await;
    let more = format!("\r\nGET /connectors/{id} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n");
    send_with(&sandbox, "GET", "/nowhere", "", "").await;
    let mut stream = TcpStream::connect(sandbox.url().trim_start_matches("http://")).await.unwrap();
    let request = format!("GET /connectors/{id} HTTP/1.1\r\nhost: sandbox\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let ledger = sandbox.ledger();
    let numbers: Vec<u64> = ledger.calls().iter().map(|call| call.connection).collect();
    assert_eq!(numbers, [1, 2, 2], "{ledger}");
}

#[tokio::test]
async fn a_wait_that_times_out_shows_the_ledger() {
    let (sandbox, id) = migrated().await;
    read(&sandbox, id).await;
    let error = sandbox.wait_for(|_| false, Duration::from_millis(10)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("GET /connectors/{id} → 200")), "{error}");
}

#[tokio::test]
async fn a_counting_ledger_keeps_numbers_only() {
    let sandbox = Sandbox::builder().count_only().start().await.unwrap();
    let id = new_id();
    sandbox.put(Connector::migrated(id));
    rollback(&sandbox, id).await;
    read(&sandbox, id).await;
    let ledger = sandbox.ledger();
    assert_eq!((ledger.total(), ledger.effects(id), ledger.calls().len()), (2, 1, 0));
}

#[tokio::test]
async fn connections_are_refused_while_it_is_down_and_the_port_comes_back() {
    let (sandbox, id) = migrated().await;
    let url = sandbox.url();
    let address = url.trim_start_matches("http://").to_owned();
    let mut held = sandbox.hold(Operation::Rollback, id, HoldPoint::AfterEffect);
    let call = calling(&sandbox, id);
    held.arrived().await.unwrap();
    for _ in 0..3 {
        sandbox.down().await;
        let refused = TcpStream::connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        sandbox.up().await.unwrap();
        assert_eq!(sandbox.url(), url);
        assert_eq!(read(&sandbox, id).await.status, 200);
    }
    assert_eq!(call.await.unwrap().status, 0, "a live connection is cut");
}

#[tokio::test]
async fn it_ends_with_its_last_handle() {
    let (sandbox, id) = migrated().await;
    let address = sandbox.url().trim_start_matches("http://").to_owned();
    let clone = sandbox.clone();
    drop(sandbox);
    assert_eq!(read(&clone, id).await.status, 200);
    drop(clone);
    let refused = async { while TcpStream::connect(&address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn two_sandboxes_share_nothing() {
    let ((one, id), (other, _)) = (migrated().await, migrated().await);
    other.inject(Fault::on(Operation::Any).always().answer(500));
    assert_ne!(one.token(), other.token());
    assert_eq!(send(&one, "GET", &format!("/connectors/{id}")).await.status, 200);
    assert_eq!(other.ledger().total(), 0);
}
