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
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use uuid::Uuid;

use crate::api::{Evidence, Reason, Status};
use crate::cde::model::{Call, Connector, Data, Failure};

pub use backoff::backoff;
pub use circuit_breaker::{BreakerState, CallResult, CircuitBreaker, Now};
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
    /// The status fields that depend on the kind.
    type Result: Clone + Debug + Default + PartialEq;

    /// The kind, as in `kind:` of a manifest.
    const KIND: &'static str;
    /// The operation as a verb: `action` in Events.
    const ACTION: &'static str;
    /// The reason of a success.
    const SUCCESS: Reason;
    /// The reason of a success if a read shows that a refused call had nothing left to do.
    const NOOP: Reason = Self::SUCCESS;
    /// Priority among the requests for one connector: the smaller rank goes first.
    const RANK: u8;
    /// Whether the connector is read before every claim.
    const READS_FIRST: bool;

    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// The stored status.
    fn status(&self) -> Option<&Status<Self::Result>>;
    /// The fields that every kind's spec has.
    fn request_spec(&self) -> RequestSpec;
    /// The one call that performs the operation.
    fn call(&self, result: &Self::Result) -> Call;

    /// Checks the connector before a claim, and notes the read in `status`. Only for kinds that read first.
    fn preflight(&self, _status: &mut Status<Self::Result>, _connector: &Connector) -> Preflight {
        Preflight::Ready
    }
    /// Replaces [`preflight`](Self::preflight) if reading is refused (403, 404).
    fn preflight_unreadable(&self, _status: &mut Status<Self::Result>) -> Preflight {
        Preflight::Ready
    }
    /// Returns what a suspended request would do, in a sentence or more, and notes the read in `status`. `None` if the
    /// response lacks a field that is needed.
    fn preview(&self, status: &mut Status<Self::Result>, connector: &Connector) -> Option<String>;
    /// Finds out from a read whether an attempt had an effect.
    fn compare(&self, result: &Self::Result, connector: &Connector) -> Comparison;
    /// Replaces [`compare`](Self::compare) if reading is refused (403, 404).
    fn compare_unreadable(&self) -> Comparison;
    /// Whether a read must verify a terminal response with this reason, even if no earlier attempt is unknown.
    fn must_verify(&self, _reason: Reason) -> bool {
        false
    }
    /// Notes the response to the call in `status`.
    fn note_response(&self, status: &mut Status<Self::Result>, data: &Data);
    /// Notes a read of the connector in `status`.
    fn note_reading(&self, status: &mut Status<Self::Result>, connector: &Connector);
    /// Returns the message of a success: one sentence.
    fn success_message(&self, reason: Reason, status: &Status<Self::Result>) -> String;
}

fn annotation<'a, O: Operation>(object: &'a O, name: &str) -> Option<&'a str> {
    object.metadata().annotations.as_ref()?.get(name).map(String::as_str)
}

/// The fields that every kind's spec has.
#[derive(Clone, Copy, Debug)]
pub struct RequestSpec {
    /// `spec.connectorID`.
    pub connector: Uuid,
    /// `spec.notAfter`.
    pub not_after: Option<Timestamp>,
    /// `spec.deadlineSeconds`.
    pub active_deadline: Option<SignedDuration>,
    /// `spec.suspend`.
    pub suspend: bool,
}

/// Whether an attempt may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preflight {
    /// It may.
    Ready,
    /// It must not, and the request ends with this reason. The text says why, without a capital letter or a period.
    Stop(Reason, String),
    /// The read lacks a field that must be noted, which counts as a transient failure.
    Incomplete(String),
}

/// The verdict of a read about an attempt whose effect is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The attempt had its effect.
    Effect(Evidence),
    /// Something is in progress, so the connector must be read again.
    Moving(String),
    /// The attempt had no effect.
    Unchanged,
    /// The read cannot tell.
    Ambiguous(String),
    /// The read lacks a field to compare, which counts as a transient failure.
    Incomplete(String),
}

/// The part of the operator's configuration that the rules need.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base URL of the CDE API, in canonical form.
    pub server: String,
    /// Timeout of one whole call.
    pub timeout: Duration,
    /// First step of the backoff.
    pub retry_min: Duration,
    /// Longest step of the backoff.
    pub retry_max: Duration,
    /// Deadline of objects without `deadlineSeconds`; `None` for none.
    pub deadline: Option<Duration>,
}

impl Settings {
    /// Returns how long a claim is valid, in whole seconds, as Kubernetes stores times.
    #[must_use]
    pub fn claim_length(&self) -> SignedDuration {
        let whole = (self.timeout + CLAIM_MARGIN + Duration::from_nanos(999_999_999)).as_secs();
        SignedDuration::from_secs(i64::try_from(whole).unwrap_or(i64::MAX))
    }

    /// Returns the minimum time between the first and the last of the undocumented refusals that confirm each other.
    #[must_use]
    pub fn confirmation_time(&self) -> Duration {
        self.retry_max / 5
    }
}

/// The input of [`decide`].
#[derive(Debug)]
pub struct Situation<'a, O: Operation> {
    /// The object as stored.
    pub object: &'a O,
    /// The wall clock.
    pub now: Timestamp,
    /// This process: `inFlight.holder` of its claims.
    pub holder: &'a str,
    /// The configuration.
    pub settings: &'a Settings,
    /// Everything observed outside the object.
    pub observed: &'a Observed,
}

/// Observations outside the object.
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How long this process has seen the stored claim or wait, by its monotonic clock.
    pub seen_for: Duration,
    /// How far the wall clock was set, forward or back, since then.
    pub clock_set: SignedDuration,
    /// The stored claim is this process's own, and nothing was sent on it.
    pub claim_unsent: bool,
    /// The request for the same connector that goes before this one, as `kind namespace/name`.
    pub ahead: Option<String>,
    /// The circuit breaker holds calls of this object back.
    pub on_hold: bool,
    /// Why there is no usable token, if a person must act: one sentence.
    pub login_required: Option<Arc<str>>,
    /// The connector as just read.
    pub reading: Option<Result<Connector, Failure>>,
    /// Earlier refusals confirm an undocumented refusal of the read.
    pub refusal_confirmed: bool,
    /// The API rejected the token of the read, and the token has changed since.
    pub token_changed: bool,
    /// Uniformly random in 0..1: the jitter of a backoff.
    pub jitter: f64,
}

/// The next step for an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<R> {
    /// Do nothing until the object changes.
    Rest,
    /// Do nothing, because the request belongs to an operator with another base URL.
    NotOurs {
        /// The base URL that the request belongs to.
        server: String,
    },
    /// Wait for this long, until the object changes, or until another request's turn ends.
    Wait(Option<Duration>),
    /// Wait until the circuit breaker lets calls through, for this long, or until the object changes.
    Hold(Option<Duration>),
    /// Read the connector and decide again.
    Read,
    /// Store this status and decide again.
    Write(Box<Status<R>>),
    /// Store this status, which holds a claim, and make the call.
    Claim(Box<Status<R>>),
}

/// Returns `time` without the fraction of a second, as Kubernetes stores times.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
