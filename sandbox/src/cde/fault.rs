//! Faults: which calls they meet, and what those calls get instead of the API's own answer.
//!
//! Three things are chosen apart from each other: what is answered (status, headers, body), how it goes over
//! the wire (whole, cut, dripping, never), and whether the operation took effect before.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::edit::Edit;
use super::operation::{Operation, Route};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutPoint {
    /// Nothing is answered.
    BeforeHeaders,
    /// The status line and the headers arrive, no byte of the body.
    AfterHeaders,
    /// Half of the body arrives.
    WithinBody,
}

/// How an answer goes over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// As it is.
    #[default]
    Whole,
    /// The connection is cut.
    Cut(CutPoint),
    /// Never, until the client or the sandbox goes away.
    Hang,
    /// Headers at once, then a byte of the body every so many milliseconds.
    DripMs(u64),
    /// A byte every so many milliseconds, from the status line on.
    CrawlMs(u64),
}

/// A body other than the one the status calls for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// This text.
    Text(String),
    /// A page of HTML, as load balancers send it.
    Html,
    /// No byte.
    Empty,
    /// The first half of the JSON, in an answer that is complete as HTTP.
    TruncatedJson,
    /// JSON whose `message` is not UTF-8.
    BrokenUtf8,
    /// JSON of at least so many bytes, streamed without a `Content-Length`.
    Huge(u64),
}

/// What happens to the calls that it meets: by default to one, before the operation has had any effect.
///
/// A fault that names a delay alone, or nothing, lets the call go on normally afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Fault {
    operation: Operation,
    connector: Option<Uuid>,
    skip: u32,
    /// `null`: always.
    times: Option<u32>,
    pub(super) after_effect: bool,
    delay_ms: u64,
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    edits: Vec<Edit>,
    pub(super) wire: Wire,
}

/// Meets one call of any kind and lets it pass.
impl Default for Fault {
    fn default() -> Self {
        Self::on(Operation::Any)
    }
}

impl Fault {
    /// A fault for one call of this operation or group.
    #[must_use]
    pub fn on(operation: Operation) -> Self {
        Self {
            operation,
            connector: None,
            skip: 0,
            times: Some(1),
            after_effect: false,
            delay_ms: 0,
            status: None,
            headers: Vec::new(),
            body: None,
            edits: Vec::new(),
            wire: Wire::Whole,
        }
    }

    /// Only calls for this connector.
    #[must_use]
    pub fn connector(mut self, id: Uuid) -> Self {
        self.connector = Some(id);
        self
    }

    /// Meets this many calls, then is gone.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Meets every call until it is cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Spares the first calls that it would meet.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// The operation has been carried out (if the API allows it) before the fault strikes.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }

    /// The operation is not carried out; the default.
    #[must_use]
    pub fn before_effect(mut self) -> Self {
        self.after_effect = false;
        self
    }

    /// Waits before (or, with [`after_effect`](Self::after_effect), after) the operation.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = milliseconds(delay);
        self
    }

    /// After the delay the call goes on as if there were no fault.
    #[must_use]
    pub fn pass(mut self) -> Self {
        (self.status, self.body, self.wire) = (None, None, Wire::Whole);
        self.headers.clear();
        self.edits.clear();
        self
    }

    /// Answers this status, with a JSON body whose `message` is the one that the API documents, else the status's own phrase.
    #[must_use]
    pub fn answer(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a header, or replaces one that is there anyway.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Answers 307 to `url`; for other codes use `answer` and `header("location", …)`.
    #[must_use]
    pub fn redirect(self, url: impl Into<String>) -> Self {
        self.answer(307).header("location", url)
    }

    /// Sends this text as body, labelled as JSON unless a header says otherwise.
    #[must_use]
    pub fn body(self, text: impl Into<String>) -> Self {
        self.with(Body::Text(text.into()))
    }

    /// Sends a page of HTML as body.
    #[must_use]
    pub fn html(self) -> Self {
        self.with(Body::Html)
    }

    /// Sends no body.
    #[must_use]
    pub fn empty(self) -> Self {
        self.with(Body::Empty)
    }

    /// Sends the first half of the JSON, complete as HTTP.
    #[must_use]
    pub fn truncated_json(self) -> Self {
        self.with(Body::TruncatedJson)
    }

    /// Sends JSON whose `message` is not UTF-8.
    #[must_use]
    pub fn broken_utf8(self) -> Self {
        self.with(Body::BrokenUtf8)
    }

    /// Streams JSON of at least this many bytes.
    #[must_use]
    pub fn huge(self, bytes: u64) -> Self {
        self.with(Body::Huge(bytes))
    }

    /// Sets a member of the JSON by its pointer, such as `/data/state`, if its parent is there.
    #[must_use]
    pub fn set(mut self, pointer: impl Into<String>, value: Value) -> Self {
        self.edits.push(Edit::set(pointer.into(), value));
        self
    }

    /// Takes a member out of the JSON by its pointer.
    #[must_use]
    pub fn without(mut self, pointer: impl Into<String>) -> Self {
        self.edits.push(Edit::remove(pointer.into()));
        self
    }

    /// JSON without `data`.
    #[must_use]
    pub fn without_data(self) -> Self {
        self.without("/data")
    }

    /// `data` is a list.
    #[must_use]
    pub fn data_not_an_object(self) -> Self {
        self.set("/data", json!(["data"]))
    }

    /// Members of `data` that have other types than documented, both of a version and of a connector.
    #[must_use]
    pub fn wrong_types(self) -> Self {
        self.set("/data/version", json!(1))
            .set("/data/state", json!({"state": true}))
            .set("/data/config", json!("config"))
            .set("/data/platform_prod_reference", json!([25]))
            .set("/data/platform_dev_reference", json!(7))
            .set("/data/versions", json!("1.0.0"))
            .set("/data/name", json!(["name"]))
            .set("/data/main-version-number", json!("one"))
    }

    /// A `message` with control characters that would draw on a terminal.
    #[must_use]
    pub fn control_characters(self) -> Self {
        self.set("/message", json!("first\r\nsecond\u{1b}[31m red\u{7}\u{0}\u{9b}end"))
    }

    /// Cuts the connection.
    #[must_use]
    pub fn cut(mut self, point: CutPoint) -> Self {
        self.wire = Wire::Cut(point);
        self
    }

    /// Never answers.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.wire = Wire::Hang;
        self
    }

    /// Sends the headers, then one byte of the body at every `interval`.
    #[must_use]
    pub fn drip(mut self, interval: Duration) -> Self {
        self.wire = Wire::DripMs(milliseconds(interval));
        self
    }

    /// Sends one byte at every `interval`, from the status line on; so slow the connection stays.
    #[must_use]
    pub fn crawl(mut self, interval: Duration) -> Self {
        self.wire = Wire::CrawlMs(milliseconds(interval));
        self
    }

    fn with(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Whether the answer is the API's own, untouched.
    pub(super) fn passes(&self) -> bool {
        self.status.is_none()
            && self.body.is_none()
            && self.headers.is_empty()
            && self.edits.is_empty()
            && self.wire == Wire::Whole
    }

    pub(super) fn pause(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Makes the changes to the JSON that this fault names.
    pub(super) fn edit(&self, json: &mut Value) {
        self.edits.iter().for_each(|edit| edit.apply(json));
    }

    fn meets(&self, route: Option<&Route>) -> bool {
        self.operation.covers(route.map(|route| route.operation))
            && (self.connector.is_none() || self.connector == route.and_then(|route| route.connector))
    }
}

/// The first fault that strikes this call, counted down; used-up ones go away.
pub(super) fn strike(faults: &mut Vec<Fault>, route: Option<&Route>) -> Option<Fault> {
    faults.retain(|fault| fault.times != Some(0));
    let mut struck = None;
    for fault in faults.iter_mut().filter(|fault| fault.meets(route)) {
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        struck = Some(fault.clone());
        fault.times = fault.times.map(|times| times - 1);
        break;
    }
    faults.retain(|fault| fault.times != Some(0));
    struck
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
