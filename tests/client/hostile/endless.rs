//! Endless responses: the client closes the connection in time, and has read no more than it must.

use std::time::{Duration, Instant};

use cde_operator::cde::Client;
use cde_operator::cde::model::{Call, Failure, FailureKind};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use crate::hostile::answers::{client, id, token};
use crate::hostile::server::read_request;

/// For a response that contains nothing wrong.
const SHORT: Duration = Duration::from_secs(1);
/// For a response that the client must not read to the end.
const LONG: Duration = Duration::from_secs(30);
/// A busy machine may notice a timeout late.
const SLACK: Duration = Duration::from_secs(10);
/// The limit of a body, and the content of two sockets.
const MOST: usize = (8 + 24) << 20;

/// How a response begins, what it repeats, and whether the client must close the connection before the timeout.
const SHAPES: [(&str, &str, bool); 13] = [
    ("", "a", true),
    ("HTTP/1.1 200 ", "a", true),
    ("HTTP/1.1 200 OK\r\n", "x: y\r\n", true),
    ("HTTP/1.1 200 OK\r\nx: ", "y", true),
    ("", "HTTP/1.1 100 Continue\r\n\r\n", false),
    ("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\n\r\n", "{\"data\":", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 9999999999999\r\n\r\n", " ", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\n[[[[[\r\n", false),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;", "x", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "x: y\r\n", true),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0", false),
    ("HTTP/1.1 404 Not Found\r\n\r\n", "{\"message\":\"No.\"", true),
];

/// A server whose responses never end. The connector in the path selects their shape.
struct Endless {
    url: String,
    /// How much it could send of each response, in the order in which they ended.
    sent: UnboundedReceiver<usize>,
    serving: JoinHandle<()>,
}

impl Endless {
    async fn start(drips: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, sent) = unbounded_channel();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let sender = sender.clone();
                connections.spawn(async move { sender.send(send_on(stream, drips).await) });
            }
        });
        Self { url, sent, serving }
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn send_on(mut stream: TcpStream, drips: bool) -> usize {
    let request = read_request(&mut stream).await;
    // Without a request, the client has given up before it sent one.
    let Some(shape) = request.split(['/', ' ']).nth(3) else { return 0 };
    let (begin, again, hangs_up) = SHAPES[shape.parse::<usize>().unwrap()];
    let block = if drips { again.to_owned() } else { again.repeat(16 * 1024 / again.len()) };
    // Without optimizations, a client that reads everything would still have much to read at the timeout.
    let pause = Duration::from_millis(if drips { 50 } else { u64::from(!hangs_up) });
    let (mut sent, mut next) = (0, begin);
    while stream.write_all(next.as_bytes()).await.is_ok() {
        (sent, next) = (sent + next.len(), &block);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    sent
}

/// Makes a rollback of the connector that stands for this shape.
async fn roll_back(client: &Client, shape: usize) -> Failure {
    let call = Call::RollBackMigration { connector: shape.to_string(), version: "main".into() };
    client.send(&call, &id(), &token()).await.expect_err("there is no end")
}

/// Faults 25 and 30.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_response_is_abandoned_in_time_and_with_bounded_memory() {
    let mut server = Endless::start(false).await;
    let [short, long] = [SHORT, LONG].map(|timeout| client(&server.url, timeout));
    for (shape, (begin, again, hangs_up)) in SHAPES.into_iter().enumerate() {
        let begun = Instant::now();

        let failure = roll_back(if hangs_up { &long } else { &short }, shape).await;

        let (took, sent) = (begun.elapsed(), server.sent.recv().await.unwrap());
        let what = format!("{begin:?} {again:?}: {failure:?}, {took:?}, {sent} bytes");
        assert!(took < if hangs_up { LONG } else { SHORT + SLACK }, "{what}");
        assert!(!hangs_up || sent < MOST, "{what}");
        assert_ne!(failure.kind, FailureKind::NotSent, "{what}");
        let refused = FailureKind::Status { code: 404, from_api: false };
        let open = matches!(failure.kind, FailureKind::NoAnswer | FailureKind::Unreadable { .. });
        assert!(open || failure.kind == refused, "{what}");
    }
}

/// Fault 30: all shapes at once, a few bytes at a time.
#[tokio::test]
async fn a_dripping_response_is_abandoned_at_the_timeout() {
    let server = Endless::start(true).await;
    let client = client(&server.url, SHORT);
    let drips = (0..SHAPES.len()).map(async |shape| {
        let begun = Instant::now();
        let failure = roll_back(&client, shape).await;
        assert!(begun.elapsed() < SHORT + SLACK, "{shape}: {failure:?}");
        assert_ne!(failure.kind, FailureKind::NotSent, "{failure:?}");
    });
    futures::future::join_all(drips).await;
}
