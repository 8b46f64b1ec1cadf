//! Faults: which calls they apply to, and what those calls get instead of the API's own response.
//!
//! A fault chooses three things independently: the response (status, headers, body), how it is sent (whole, cut,
//! dripping, never), and whether the operation takes effect first.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::edit::Edit;
use super::operation::{Operation, Route};

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutPoint {
    /// Before the status line.
    BeforeHeaders,
    /// After the status line and the headers, before the body.
    AfterHeaders,
    /// In the middle of the body.
    WithinBody,
}

/// How a response is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// Normally.
    #[default]
    Whole,
    /// The connection is cut.
    Cut(CutPoint),
    /// Never, until the client or the sandbox goes away.
    Hang,
    /// The headers at once, then one byte of the body per interval in milliseconds.
    DripMs(u64),
    /// One byte per interval in milliseconds, from the status line on.
    CrawlMs(u64),
}

/// A body other than the normal one for the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// This text.
    Text(String),
    /// A page of HTML, as load balancers send it.
    Html,
    /// An empty body.
    Empty,
    /// The first half of the JSON, in a response that is complete as far as HTTP goes.
    TruncatedJson,
    /// JSON whose `message` is not UTF-8.
    BrokenUtf8,
    /// JSON of at least this many bytes, streamed without a `Content-Length`.
    Huge(u64),
}

/// What happens to the calls that the fault applies to. By default it applies to one call, before the operation has
/// had any effect.
///
/// A fault with nothing, or only with a delay, lets the call continue normally afterwards.
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

/// Returns a fault that applies to one call of any kind and changes nothing.
impl Default for Fault {
    fn default() -> Self {
        Self::on(Operation::Any)
    }
}

impl Fault {
    /// Returns a fault for one call of this operation or group.
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

    /// Applies only to calls for this connector.
    #[must_use]
    pub fn connector(mut self, id: Uuid) -> Self {
        self.connector = Some(id);
        self
    }

    /// Applies to this many calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Applies to every call until it is cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Skips the first calls that match.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Carries out the operation, if the API allows it, before the fault applies.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }

    /// Does not carry out the operation. This is the default.
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

    /// Lets the call continue after the delay as if there were no fault.
    #[must_use]
    pub fn pass(mut self) -> Self {
        (self.status, self.body, self.wire) = (None, None, Wire::Whole);
        self.headers.clear();
        self.edits.clear();
        self
    }

    /// Answers this status with a JSON body whose `message` is the one that the API documents, or the status's own
    /// phrase.
    #[must_use]
    pub fn answer(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a header, or replaces an existing one.
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

    /// Sends this text as the body, labeled as JSON unless a header says otherwise.
    #[must_use]
    pub fn body(self, text: impl Into<String>) -> Self {
        self.with(Body::Text(text.into()))
    }

    /// Sends a page of HTML as the body.
    #[must_use]
    pub fn html(self) -> Self {
        self.with(Body::Html)
    }

    /// Sends an empty body.
    #[must_use]
    pub fn empty(self) -> Self {
        self.with(Body::Empty)
    }

    /// Sends the first half of the JSON, in a response that is complete as far as HTTP goes.
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

    /// Sets a member of the JSON at its pointer, such as `/data/state`, if its parent exists.
    #[must_use]
    pub fn set(mut self, pointer: impl Into<String>, value: Value) -> Self {
        self.edits.push(Edit::set(pointer.into(), value));
        self
    }

    /// Removes the member of the JSON at this pointer.
    #[must_use]
    pub fn without(mut self, pointer: impl Into<String>) -> Self {
        self.edits.push(Edit::remove(pointer.into()));
        self
    }

    /// Removes `data` from the JSON.
    #[must_use]
    pub fn without_data(self) -> Self {
        self.without("/data")
    }

    /// Makes `data` a list.
    #[must_use]
    pub fn data_not_an_object(self) -> Self {
        self.set("/data", json!(["data"]))
    }

    /// Gives members of `data` other types than documented, for a version as well as for a connector.
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

    /// Sets a `message` with control characters that a terminal would interpret.
    #[must_use]
    pub fn control_characters(self) -> Self {
        self.set("/message", json!("first\r\nsecond\u{1b}[31m red\u{7}\u{0}\u{9b}end"))
    }

    /// Cuts the connection at this point.
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

    /// Sends the headers, then one byte of the body per `interval`.
    #[must_use]
    pub fn drip(mut self, interval: Duration) -> Self {
        self.wire = Wire::DripMs(milliseconds(interval));
        self
    }

    /// Sends one byte per `interval`, from the status line on. The connection stays that slow.
    #[must_use]
    pub fn crawl(mut self, interval: Duration) -> Self {
        self.wire = Wire::CrawlMs(milliseconds(interval));
        self
    }

    fn with(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Returns whether the response is the API's own, unchanged.
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

    /// Applies the changes of this fault to the JSON.
    pub(super) fn edit(&self, json: &mut Value) {
        self.edits.iter().for_each(|edit| edit.apply(json));
    }

    fn meets(&self, route: Option<&Route>) -> bool {
        self.operation.covers(route.map(|route| route.operation))
            && (self.connector.is_none() || self.connector == route.and_then(|route| route.connector))
    }
}

/// Returns the first fault that applies to this call, and counts it. Used-up faults are removed.
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
