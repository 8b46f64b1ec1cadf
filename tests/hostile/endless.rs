//! Answers without an end: the client hangs up in time, and has taken in no more than it must.

use std::time::{Duration, Instant};

use cde_operator::cde::Client;
use cde_operator::cde::model::{Failure, FailureKind};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::answers::{client, id, rollback, token};
use crate::draw::CONNECTOR;
use crate::server::read_request;

const TIMEOUT: Duration = Duration::from_secs(1);
/// A busy machine may notice late that a time is over.
const SLACK: Duration = Duration::from_secs(10);
/// The bound of a body, and what two sockets hold.
const MOST: usize = (8 + 24) << 20;

/// How an answer begins, what comes again and again, and whether the client must hang up before its time is over.
const SHAPES: [(&str, &str, bool); 13] = [
    ("", "a", true),
    ("HTTP/1.1 200 ", "a", true),
    ("HTTP/1.1 200 OK\r\n", "x: y\r\n", true),
    ("HTTP/1.1 200 OK\r\nx: ", "y", true),
    ("", "HTTP/1.1 100 Continue\r\n\r\n", false),
    ("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\n\r\n", "{\"data\":", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 9999999999999\r\n\r\n", " ", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\n[[[[[\r\n", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;", "x", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "x: y\r\n", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0", false),
    ("HTTP/1.1 404 Not Found\r\n\r\n", "{\"message\":\"No.\"", true),
];

/// A server that never ends its answers: one to each connection. How much it could send of each.
async fn endless(
    begin: &'static str,
    again: &'static str,
    pause: Duration,
) -> (String, JoinHandle<Vec<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut sent = Vec::new();
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            sent.push(send_on(stream, begin, again, pause).await);
        }
        sent
    });
    (url, serving)
}

async fn send_on(mut stream: TcpStream, begin: &str, again: &str, pause: Duration) -> usize {
    read_request(&mut stream).await;
    let block = if pause.is_zero() { again.repeat(16 * 1024 / again.len()) } else { again.to_owned() };
    let (mut sent, mut next) = (0, begin);
    while stream.write_all(next.as_bytes()).await.is_ok() {
        (sent, next) = (sent + next.len(), &block);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    sent
}

/// A call and a read, one after the other; how long each took.
async fn calls(client: &Client) -> Vec<(Failure, Duration)> {
    let token = token();
    let mut heard = Vec::new();
    for call in [Some(rollback()), None] {
        let begun = Instant::now();
        let failure = match call {
            Some(call) => client.send(&call, &id(), &token).await.err(),
            None => client.connector(CONNECTOR, &id(), &token).await.err(),
        };
        heard.push((failure.expect("there is no end"), begun.elapsed()));
    }
    heard
}

/// Faults 25 and 30.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_an_end_is_left_in_time_and_within_a_bound_of_memory() {
    for (begin, again, hangs_up) in SHAPES {
        let (url, serving) = endless(begin, again, Duration::ZERO).await;

        let heard = calls(&client(&url, TIMEOUT)).await;

        let sent = serving.await.unwrap();
        for ((failure, took), sent) in heard.into_iter().zip(sent) {
            let what = format!("{begin:?} {again:?}: {failure:?}, {took:?}, {sent} bytes");
            assert!(took < TIMEOUT + SLACK, "{what}");
            assert!(!hangs_up || sent < MOST, "{what}");
            assert_ne!(failure.kind, FailureKind::NotSent, "{what}");
            let refused = FailureKind::Status { code: 404, spoken: false };
            let open = matches!(failure.kind, FailureKind::NoAnswer | FailureKind::Unreadable { .. });
            assert!(open || failure.kind == refused, "{what}");
        }
    }
}

/// Fault 30: all shapes at once, a few bytes at a time.
#[tokio::test]
async fn an_answer_that_only_drips_is_left_when_its_time_is_over() {
    let mut servers = Vec::new();
    for (begin, again, _) in SHAPES {
        let (url, serving) = endless(begin, again, Duration::from_millis(50)).await;
        servers.push((begin, again, client(&url, TIMEOUT), serving));
    }
    let drips = servers.into_iter().map(|(begin, again, client, serving)| async move {
        let begun = Instant::now();
        let failure = client.send(&rollback(), &id(), &token()).await.expect_err("there is no end");
        serving.abort();
        assert!(begun.elapsed() < TIMEOUT + SLACK, "{begin:?} {again:?}: {failure:?}");
        assert_ne!(failure.kind, FailureKind::NotSent, "{failure:?}");
    });
    futures::future::join_all(drips).await;
}
