//! The pure core: functions of values and `now`. No I/O, no clock, no randomness, no HTTP, no Kubernetes client.
//!
//! ```text
//!   observe → decide → claim → act → record
//!             ^^^^^^                 ^^^^^^  apply_response and confirm_by_read write the record, as a value
//! ```
//!
//! - [`decide`] parses the stored status into a [`Phase`] and returns the next [`Step`] for one object.
//! - [`apply_response`] turns the response to a claimed call into the status that records it.
//! - [`classify`] is the only table of errors.
//!
//! The kinds differ behind one trait, [`Operation`]; a new kind is one implementation of it.

mod backoff;
mod circuit_breaker;
mod classify;
mod condition;
mod confirm;
mod decide;
mod event;
mod messages;
mod phase;
mod preview;
mod queue;
mod rebase;
mod response;
mod restore;
mod retry;
mod rollback;
mod rules;
mod status_builder;
mod verify;
mod waits;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use uuid::Uuid;

use crate::api::{Evidence, Reason, Status};
use crate::cde::model::{Call, Connector, Data, Failure};

pub use backoff::backoff;
pub use circuit_breaker::{CallResult, CallState, CircuitBreaker, Now};
pub use classify::{Class, Effect, classify, classify_read, looks_down, pauses_all, undocumented_refusal};
pub use confirm::{InvalidConfirm, invalid_confirm};
pub use decide::{decide, next_call};
pub use event::{Announcement, event_for, event_for_deleted};
pub use phase::Phase;
pub use queue::{Queue, QueueState, Queued};
pub use rebase::{may_record, rebase, strip_result};
pub use response::{Release, Response, apply_response, confirm_by_read, release_claim};
pub use retry::{InvalidRetry, invalid_retry};

/// A claim is valid for the operator's `--timeout` and this much more: the time between the claim and the call.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(5);

/// One kind of operation: what it asks for, what it calls, and what a read of the connector says about it.
pub trait Operation {
    /// The kind's own part of the status.
    type Result: Clone + Debug + Default + PartialEq;

    /// The kind, as in `kind:` of a manifest.
    const KIND: &'static str;
    /// The operation as a verb: `action` in Events.
    const ACTION: &'static str;
    /// The reason of a success.
    const SUCCESS: Reason;
    /// The reason of a success where a verified refusal turns out to mean that nothing was left to do.
    const NOOP: Reason = Self::SUCCESS;
    /// The request with the smaller rank goes first among the requests for one connector.
    const RANK: u8;
    /// Whether the connector is read before every claim.
    const READS_FIRST: bool;

    /// Name, uid, times, annotations.
    fn metadata(&self) -> &ObjectMeta;
    /// The status as it is stored.
    fn status(&self) -> Option<&Status<Self::Result>>;
    /// What every kind's spec holds.
    fn request_spec(&self) -> RequestSpec;
    /// The one call that performs the operation.
    fn call(&self, result: &Self::Result) -> Call;

    /// Before a claim of a kind that reads first: checks the connector and notes what was read.
    fn preflight(&self, _status: &mut Status<Self::Result>, _connector: &Connector) -> Preflight {
        Preflight::Ready
    }
    /// Before a claim of a kind that reads first, where reading is refused (403, 404).
    fn preflight_unreadable(&self, _status: &mut Status<Self::Result>) -> Preflight {
        Preflight::Ready
    }
    /// While the request is suspended: what would happen, in a sentence or more, and notes what was read; `None` where the
    /// answer lacks what is needed to tell.
    fn preview(&self, status: &mut Status<Self::Result>, connector: &Connector) -> Option<String>;
    /// After an attempt whose effect is unknown: what the connector, as it is read now, says about it.
    fn compare(&self, result: &Self::Result, connector: &Connector) -> Comparison;
    /// What it means for an attempt whose effect is unknown that reading is refused.
    fn compare_unreadable(&self) -> Comparison;
    /// Whether a terminal response with this reason must be verified by one read before it is believed, although no
    /// earlier attempt is unknown.
    fn must_verify(&self, _reason: Reason) -> bool {
        false
    }
    /// Notes what the response to the call says.
    fn note_response(&self, status: &mut Status<Self::Result>, data: &Data);
    /// Notes what a read of the connector says.
    fn note_reading(&self, status: &mut Status<Self::Result>, connector: &Connector);
    /// One sentence for people about a success.
    fn success_message(&self, reason: Reason, status: &Status<Self::Result>) -> String;
}

/// The value of an annotation of an object.
fn annotation<'a, O: Operation>(object: &'a O, name: &str) -> Option<&'a str> {
    object.metadata().annotations.as_ref()?.get(name).map(String::as_str)
}

/// What every kind's spec holds.
#[derive(Clone, Copy, Debug)]
pub struct RequestSpec {
    /// The connector.
    pub connector: Uuid,
    /// No attempt begins from this time on.
    pub not_after: Option<Timestamp>,
    /// No attempt begins this long after the start of the request.
    pub active_deadline: Option<SignedDuration>,
    /// No new attempt begins.
    pub suspend: bool,
}

/// Whether an attempt may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preflight {
    /// It may.
    Ready,
    /// It must not: the request ends with this reason. The text says why, without a capital letter and a period.
    Stop(Reason, String),
    /// The read lacks what must be noted: it counts as failed for a transient reason.
    Incomplete(String),
}

/// What a read says about an attempt whose effect is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It had its effect.
    Effect(Evidence),
    /// Something is in progress: read again.
    Moving(String),
    /// It had none.
    Unchanged,
    /// The read cannot tell.
    Ambiguous(String),
    /// The read lacks what is compared: it counts as failed for a transient reason.
    Incomplete(String),
}

/// The part of the operator's configuration that the rules need.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base URL of the CDE API, in canonical form.
    pub server: String,
    /// For one whole call.
    pub timeout: Duration,
    /// First step of the backoff.
    pub retry_min: Duration,
    /// Longest step of the backoff.
    pub retry_max: Duration,
    /// For objects without `deadlineSeconds`; `None` for no deadline.
    pub deadline: Option<Duration>,
}

impl Settings {
    /// How long a claim is valid, in whole seconds, as Kubernetes stores them.
    #[must_use]
    pub fn claim_length(&self) -> SignedDuration {
        let whole = (self.timeout + CLAIM_MARGIN + Duration::from_nanos(999_999_999)).as_secs();
        SignedDuration::from_secs(i64::try_from(whole).unwrap_or(i64::MAX))
    }

    /// How long undocumented refusals must keep coming before they are believed.
    #[must_use]
    pub fn confirmation_time(&self) -> Duration {
        self.retry_max / 5
    }
}

/// All that [`decide`] looks at.
#[derive(Debug)]
pub struct Situation<'a, O: Operation> {
    /// The object as it is stored.
    pub object: &'a O,
    /// The wall clock.
    pub now: Timestamp,
    /// This process: `inFlight.holder` of its claims.
    pub holder: &'a str,
    /// The configuration.
    pub settings: &'a Settings,
    /// What was observed beside the object.
    pub observed: &'a Observed,
}

/// What was observed beside the object.
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How long, by its monotonic clock, this process has seen the claim or the wait that is stored.
    pub seen_for: Duration,
    /// How far the wall clock was set, forward or back, since then.
    pub clock_set: SignedDuration,
    /// The stored claim is this process's own, and it knows that nothing was sent on it.
    pub claim_unsent: bool,
    /// The request for the same connector that goes first, as `kind namespace/name`, if another one does.
    pub ahead: Option<String>,
    /// The circuit breaker lets no call of this object through at present.
    pub on_hold: bool,
    /// The connector as it was just read.
    pub reading: Option<Result<Connector, Failure>>,
    /// An undocumented refusal of the reading has been confirmed by earlier ones.
    pub refusal_confirmed: bool,
    /// The API refused the token of the reading, and the token has changed since.
    pub token_changed: bool,
    /// Uniformly random in 0..1: the jitter of a backoff.
    pub jitter: f64,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<R> {
    /// Nothing, until the object changes.
    Rest,
    /// Nothing: the request belongs to an operator with another base URL.
    NotOurs {
        /// The base URL that the request belongs to.
        server: String,
    },
    /// Nothing before this much time has passed, the object changes, or another request's turn ends.
    Wait(Option<Duration>),
    /// Nothing before the circuit breaker lets calls through, this much time has passed, or the object changes.
    Hold(Option<Duration>),
    /// Read the connector, and decide again.
    Read,
    /// Store this status, and decide again.
    Write(Box<Status<R>>),
    /// Store this status, which holds a claim; then make the call.
    Claim(Box<Status<R>>),
}

/// `time` without the fraction of a second, as Kubernetes stores times.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
