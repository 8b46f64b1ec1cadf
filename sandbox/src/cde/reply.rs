//! Builds what is sent from the API's response and a fault.

use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

use super::fault::{Body, CutPoint, Fault, Wire};
use super::ledger::Answered;
use super::slow::Pace;
use super::store::Outcome;

const HTML: &str = "<html>\r\n<head><title>Not the API</title></head>\r\n<body>\r\n<center><h1>Not the API\
                    </h1></center>\r\n<hr><center>ingress</center>\r\n</body>\r\n</html>\r\n";

/// The end of a connection, as an error, because hyper needs one to close a connection early.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(super) struct Cut;

pub(super) type ReplyBody = UnsyncBoxBody<Bytes, Cut>;

/// A response that is decided and not sent yet.
pub(super) struct Reply {
    status: u16,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    payload: Payload,
    wire: Wire,
}

enum Payload {
    Bytes(Bytes),
    Huge(u64),
}

impl Reply {
    /// Returns a plain JSON response.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", Bytes::from(body.to_string()))
    }

    /// Returns a reply that cuts the connection without a response.
    pub(super) fn cut() -> Self {
        let wire = Wire::Cut(CutPoint::BeforeHeaders);
        Self { wire, ..Self::whole(500, "text/plain", Bytes::new()) }
    }

    /// Returns the API's response with the changes of the fault.
    pub(super) fn compose(outcome: &Outcome, fault: Option<&Fault>) -> Self {
        let Some(fault) = fault.filter(|fault| !fault.passes()) else {
            return match outcome.body() {
                Some(body) => Self::json(outcome.status, &body),
                None => Self::whole(outcome.status, "text/html", Bytes::from_static(HTML.as_bytes())),
            };
        };
        let status = fault.status.unwrap_or(outcome.status);
        let said = if fault.status.is_some() { None } else { outcome.body() };
        let mut body = said.unwrap_or_else(|| json!({"message": phrase(status)}));
        fault.edit(&mut body);
        let json = Bytes::from(body.to_string());
        let (content_type, payload) = match &fault.body {
            None => ("application/json", Payload::Bytes(json)),
            Some(Body::Text(text)) => ("application/json", Payload::Bytes(Bytes::from(text.clone()))),
            Some(Body::Html) => ("text/html", Payload::Bytes(Bytes::from_static(HTML.as_bytes()))),
            Some(Body::Empty) => ("application/json", Payload::Bytes(Bytes::new())),
            Some(Body::TruncatedJson) => ("application/json", Payload::Bytes(json.slice(..json.len() / 2))),
            Some(Body::BrokenUtf8) => ("application/json", Payload::Bytes(break_utf8(&json))),
            Some(Body::Huge(bytes)) => ("application/json", Payload::Huge(*bytes)),
        };
        Self { status, content_type, headers: fault.headers.clone(), payload, wire: fault.wire }
    }

    fn whole(status: u16, content_type: &'static str, body: Bytes) -> Self {
        Self { status, content_type, headers: Vec::new(), payload: Payload::Bytes(body), wire: Wire::Whole }
    }

    /// Returns how the ledger shows the reply.
    pub(super) fn answered(&self) -> Answered {
        match self.wire {
            Wire::Whole | Wire::DripMs(_) | Wire::CrawlMs(_) => Answered::Status(self.status),
            Wire::Cut(point) => Answered::Cut(point),
            Wire::Hang => Answered::Hung,
        }
    }

    /// Returns the response as hyper sends it at this pace. An error cuts the connection, and a hanging reply never
    /// resolves.
    pub(super) async fn send(self, pace: &Pace) -> Result<Response<ReplyBody>, Cut> {
        match self.wire {
            Wire::CrawlMs(interval) => pace.slow_down(interval),
            Wire::Hang => return std::future::pending().await,
            Wire::Cut(CutPoint::BeforeHeaders) => return Err(Cut),
            _ => {}
        }
        let (length, body) = match (self.payload, self.wire) {
            (Payload::Huge(bytes), _) => (None, boxed(huge(bytes))),
            (Payload::Bytes(bytes), Wire::Cut(point)) => {
                // At least one byte must be missing for a cut.
                let length = bytes.len().max(1);
                let sent = if point == CutPoint::AfterHeaders { 0 } else { bytes.len() / 2 };
                (Some(length), boxed(cut_after(bytes.slice(..sent))))
            }
            (Payload::Bytes(bytes), Wire::DripMs(interval)) => {
                (Some(bytes.len()), boxed(drip(bytes, Duration::from_millis(interval))))
            }
            (Payload::Bytes(bytes), _) => {
                (Some(bytes.len()), Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
            }
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(length) = length {
            headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        for (name, value) in &self.headers {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => return Ok(impossible(&format!("the header `{name}: {value}`"))),
            }
        }
        match StatusCode::from_u16(self.status) {
            Ok(status) if status.as_u16() >= 200 => *response.status_mut() = status,
            _ => return Ok(impossible(&format!("the status {}", self.status))),
        }
        Ok(response)
    }
}

/// Makes a fault that cannot be sent visible instead of ignoring it.
fn impossible(what: &str) -> Response<ReplyBody> {
    let text = format!("A fault asks for {what}, which HTTP does not allow; correct the fault.\n");
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Returns the message that the API documents for this status, or the status's own phrase.
fn phrase(status: u16) -> &'static str {
    match status {
        400 => {
            return "Operation is only allowed for connectors that were previously synchronized to production";
        }
        401 => return "You have to be authorized to access this resource.",
        403 => return "Access denied for user.",
        404 => return "Connector not found.",
        _ => {}
    }
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

/// Puts two bytes that are not valid UTF-8 into the outermost message.
fn break_utf8(json: &[u8]) -> Bytes {
    const KEY: &[u8] = b"\"message\":\"";
    let at = json.windows(KEY.len()).rposition(|window| window == KEY).map_or(0, |at| at + KEY.len());
    Bytes::from([&json[..at], b"\xff\xfe", &json[at..]].concat())
}

fn boxed(stream: impl Stream<Item = Result<Bytes, Cut>> + Send + 'static) -> ReplyBody {
    StreamBody::new(stream.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// Sends these bytes and cuts the connection, although more were announced.
fn cut_after(bytes: Bytes) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
    let sent = (!bytes.is_empty()).then_some(Ok(bytes));
    // The bytes written so far are flushed only while the body has nothing to give.
    let end = stream::once(async {
        tokio::task::yield_now().await;
        Err(Cut)
    });
    stream::iter(sent).chain(end)
}

fn drip(bytes: Bytes, interval: Duration) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
    stream::iter(0..bytes.len()).then(move |at| {
        let byte = bytes.slice(at..=at);
        async move {
            tokio::time::sleep(interval).await;
            Ok(byte)
        }
    })
}

fn huge(bytes: u64) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
    const CHUNK: &[u8] = &[b'x'; 16 * 1024];
    let chunks = bytes.div_ceil(CHUNK.len() as u64);
    let head = Bytes::from_static(b"{\"message\":\"successful operation\",\"data\":{\"name\":\"");
    let tail = Bytes::from_static(b"\"}}");
    stream::iter([head])
        .chain(stream::iter(0..chunks).map(|_| Bytes::from_static(CHUNK)))
        .chain(stream::iter([tail]))
        .map(Ok)
}
