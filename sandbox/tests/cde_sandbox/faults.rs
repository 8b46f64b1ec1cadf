//! Each kind of fault as a client sees it.

use std::time::{Duration, Instant};

use cde_sandbox::cde::{Answered, Connector, CutPoint, Fault, Operation, Sandbox, new_id};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::client::{Got, read, rollback, rollback_path, send};

async fn migrated() -> (Sandbox, Uuid) {
    let (sandbox, id) = (Sandbox::start().await.unwrap(), new_id());
    sandbox.put(Connector::migrated(id));
    (sandbox, id)
}

/// Returns the response to a rollback with this fault, and the number of effects.
async fn struck(fault: Fault) -> (Got, usize) {
    let (sandbox, id) = migrated().await;
    sandbox.inject(fault);
    let got = rollback(&sandbox, id).await;
    (got, sandbox.effects(id))
}

fn fault() -> Fault {
    Fault::on(Operation::Rollback)
}

#[tokio::test]
async fn an_injected_status_has_headers_and_a_message_and_no_effect() {
    let (got, effects) = struck(fault().answer(503).header("retry-after", "1")).await;
    assert_eq!((got.status, got.message().as_str(), effects), (503, "Service Unavailable", 0));
    assert!(got.head.contains("retry-after: 1"), "{}", got.head);
    let (got, effects) = struck(fault().answer(520).body("{}").after_effect()).await;
    assert_eq!((got.status, got.body.as_slice(), effects), (520, b"{}".as_slice(), 1));
    let (got, _) = struck(fault().redirect("http://other.example/")).await;
    assert!(got.status == 307 && got.head.contains("location: http://other.example/"), "{got:?}");
}

#[tokio::test]
async fn a_fault_without_a_status_keeps_the_status_of_the_operation() {
    let (got, effects) = struck(fault().without("/data/state")).await;
    assert_eq!((got.status, effects), (200, 0));
    let data = &got.json()["data"];
    assert!(data.get("state").is_none() && data["platform_prod_reference"]["executable"] == 24, "{data}");
}

#[tokio::test]
async fn the_ledger_shows_what_was_carried_out_and_whether_a_fault_answered() {
    let (sandbox, id) = migrated().await;
    sandbox.inject(fault().answer(500));
    sandbox.inject(fault().answer(500).after_effect());
    sandbox.inject(fault().delay(Duration::from_millis(1)));
    for _ in 0..3 {
        rollback(&sandbox, id).await;
    }
    read(&sandbox, id).await;
    let told: Vec<(bool, bool)> =
        sandbox.ledger().calls().iter().map(|call| (call.carried_out.is_some(), call.struck)).collect();
    assert_eq!(told, [(false, true), (true, true), (true, false), (true, false)]);
    let times: Vec<_> = sandbox.ledger().calls().iter().filter_map(|call| call.carried_out).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn a_cut_ends_the_connection_at_its_point() {
    for effects in [0, 1] {
        let cut = |point| if effects == 1 { fault().cut(point).after_effect() } else { fault().cut(point) };
        let (got, seen) = struck(cut(CutPoint::BeforeHeaders)).await;
        assert_eq!((got.status, got.body.len(), seen), (0, 0, effects));
        let (got, seen) = struck(cut(CutPoint::AfterHeaders)).await;
        assert_eq!((got.status, got.body.len(), got.complete, seen), (200, 0, false, effects));
        let (got, seen) = struck(cut(CutPoint::WithinBody)).await;
        assert!(got.status == 200 && got.body.len() > 1000 && !got.complete, "{got:?}");
        assert_eq!(seen, effects);
    }
}

#[tokio::test]
async fn a_malformed_body_arrives_as_it_was_injected() {
    let (got, _) = struck(fault().empty()).await;
    assert!(got.status == 200 && got.body.is_empty() && got.complete);
    let (got, _) = struck(fault().html()).await;
    assert!(got.head.contains("text/html") && got.body.starts_with(b"<html>"));
    let (got, _) = struck(fault().truncated_json()).await;
    assert!(got.complete && got.body.len() > 1000 && serde_json::from_slice::<Value>(&got.body).is_err());
    let (got, _) = struck(fault().without_data()).await;
    assert!(got.json().get("data").is_none() && got.json()["message"] == "successful operation");
    let (got, _) = struck(fault().data_not_an_object()).await;
    assert!(got.json()["data"].is_array());
    let (got, _) = struck(fault().wrong_types()).await;
    assert!(got.json()["data"]["state"].is_object() && got.json()["data"]["version"].is_number());
    let (got, _) = struck(fault().answer(400).control_characters()).await;
    assert!(got.message().contains('\u{1b}') && got.message().contains('\n'));
    let (got, _) = struck(fault().broken_utf8()).await;
    let text = String::from_utf8_lossy(&got.body);
    assert!(std::str::from_utf8(&got.body).is_err() && text.contains("\"message\":\"\u{fffd}\u{fffd}succ"));
}

#[tokio::test]
async fn a_huge_body_is_streamed_without_a_content_length() {
    let (got, _) = struck(fault().huge(9 << 20)).await;
    assert!(got.complete && got.body.len() >= 9 << 20 && !got.head.contains("content-length"));
}

#[tokio::test]
async fn a_drip_sends_the_body_one_byte_at_a_time() {
    let interval = Duration::from_millis(20);
    let begin = Instant::now();
    let (got, _) = struck(fault().body("0123456789").drip(interval)).await;
    assert!(got.complete && got.body == b"0123456789" && begin.elapsed() >= interval * 10);
}

#[tokio::test]
async fn a_crawl_sends_one_byte_at_a_time_from_the_status_line_on() {
    let interval = Duration::from_millis(5);
    let begin = Instant::now();
    let (got, _) = struck(fault().answer(503).body("0123456789").crawl(interval)).await;
    assert!(got.complete && got.body == b"0123456789");
    let least = b"HTTP/1.1 503 Service Unavailable\r\n\r\n0123456789".len();
    assert!(begin.elapsed() >= interval * u32::try_from(least).unwrap());
}

#[tokio::test]
async fn a_delayed_call_takes_effect_by_default() {
    let begin = Instant::now();
    let (got, effects) = struck(fault().delay(Duration::from_millis(50))).await;
    assert_eq!((got.status, effects), (200, 1));
    assert!(begin.elapsed() >= Duration::from_millis(50));
    let (got, effects) = struck(fault().answer(500).pass()).await;
    assert_eq!((got.status, effects), (200, 1));
}

#[tokio::test]
async fn a_hanging_call_is_never_answered_and_the_ledger_shows_it() {
    let (sandbox, id) = migrated().await;
    sandbox.inject(fault().hang().after_effect());
    let mut stream = TcpStream::connect(sandbox.url().trim_start_matches("http://")).await.unwrap();
    let (path, token) = (rollback_path(id, "main"), sandbox.token());
    let request = format!("POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let hung = |call: &cde_sandbox::cde::Call| call.answered == Answered::Hung && call.effect;
    sandbox.wait_for(|ledger| ledger.calls().iter().any(hung), Duration::from_secs(20)).await.unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    sandbox.down().await;
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn a_fault_applies_to_the_calls_that_it_names_as_often_as_it_says() {
    let (sandbox, id) = migrated().await;
    let other = new_id();
    sandbox.put(Connector::migrated(other));
    sandbox.inject(Fault::on(Operation::Changing).connector(id).skip(1).times(2).answer(500));
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(rollback(&sandbox, other).await.status, 200);
        assert_eq!(read(&sandbox, id).await.status, 200);
        seen.push(rollback(&sandbox, id).await.status);
    }
    assert_eq!(seen, [200, 500, 500, 200]);
    assert!(sandbox.faults().is_empty());

    sandbox.inject(Fault::on(Operation::Any).always().answer(502));
    for _ in 0..3 {
        assert_eq!(read(&sandbox, other).await.status, 502);
        assert_eq!(send(&sandbox, "GET", "/nowhere").await.status, 502);
    }
    sandbox.clear_faults();
    assert_eq!(read(&sandbox, other).await.status, 200);
}

#[tokio::test]
async fn a_fault_that_http_cannot_carry_is_reported() {
    for fault in [fault().header("a b", "c"), fault().answer(99), fault().answer(100)] {
        let (got, _) = struck(fault).await;
        assert_eq!(got.status, 500);
        assert!(String::from_utf8_lossy(&got.body).contains("correct the fault"));
    }
}
