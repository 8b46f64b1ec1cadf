//! A collector that receives OTLP over HTTP and behaves as a test wants.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::traces::span::{Span, spans};
use cde_harness::{Flags, LIMIT, Object, POLL};

/// How batches are answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Behavior {
    #[default]
    Takes,
    Refuses,
    Hangs,
}

#[derive(Default)]
struct Seen {
    manner: Behavior,
    requests: usize,
    headers: HeaderMap,
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// A running collector. It ends when it is dropped.
pub(crate) struct Collector {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let manner = {
        let mut seen = seen.lock().unwrap();
        seen.requests += 1;
        seen.headers = headers;
        seen.bytes.extend_from_slice(&body);
        if matches!(seen.manner, Behavior::Takes) {
            seen.spans.extend(spans(ExportTraceServiceRequest::decode(body).expect("a batch of spans")));
        }
        seen.manner
    };
    match manner {
        Behavior::Takes => StatusCode::OK,
        Behavior::Refuses => StatusCode::SERVICE_UNAVAILABLE,
        Behavior::Hangs => pending().await,
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(seen.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, serving }
    }

    /// Returns the flags of an operator that soon sends its spans to this collector.
    pub(crate) fn flags(&self) -> Flags {
        let flags = Flags::fast_retries().with("--otlp-endpoint", &self.url);
        flags.env("OTEL_BSP_SCHEDULE_DELAY", "50")
    }

    pub(crate) fn behaves(&self, manner: Behavior) {
        self.seen.lock().unwrap().manner = manner;
    }

    /// Returns how many batches came, accepted or not.
    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    /// Returns the headers of the last batch.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.seen.lock().unwrap().headers.clone()
    }

    /// Returns everything that came, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().bytes).into_owned()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.seen.lock().unwrap().spans.clone()
    }

    /// Waits until this many batches have come.
    pub(crate) async fn until_batches(&self, times: usize) {
        let begun = Instant::now();
        while self.requests() < times {
            assert!(begun.elapsed() < LIMIT, "only {} batches came", self.requests());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the trace of a finished request: the root span, which is sent last, and the other spans in the order in
    /// which they began.
    pub(crate) async fn trace(&self, object: &Object) -> (Span, Vec<Span>) {
        let id = object.operation()["id"].as_str().expect("an operation").replace('-', "");
        let begun = Instant::now();
        loop {
            let mut all = self.spans();
            all.retain(|span| span.trace == id);
            if let Some(at) = all.iter().position(|span| span.parent.is_empty()) {
                let root = all.remove(at);
                all.sort_by_key(|span| span.begun);
                return (root, all);
            }
            assert!(begun.elapsed() < LIMIT, "the trace {id} is not complete: {all:#?}");
            tokio::time::sleep(POLL).await;
        }
    }
}
