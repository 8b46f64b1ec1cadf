//! The rules, as pure functions of values and `now`: no I/O, no clock, no randomness, nothing of HTTP.
//!
//! ```text
//!   observe → decide → claim → act → record
//!             ^^^^^^   the status of a claim and of an outcome is written here, too, as a value
//! ```
//!
//! [`decide`] says what comes next for one object; [`conclude`] says what an answer makes of a claim. What
//! differs between the kinds is behind one trait, [`Operation`]; a new kind is one implementation of it.

mod announce;
mod backoff;
mod case;
mod classify;
mod conclude;
mod condition;
mod decide;
mod restore;
mod retry;
mod rollback;
mod rules;
mod times;
mod turn;
mod verify;
mod words;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Evidence, Reason, Status};
use crate::cde::model::{Call, Connector, Data, Failure};

pub use announce::{Announcement, announce, announce_gone};
pub use backoff::backoff;
pub use classify::{Class, Effect, classify, classify_read, looks_down, pauses_all};
pub use conclude::{Conclusion, conclude, give_back, onto, without_data};
pub use decide::{decide, identify};
pub use retry::unreadable_retry;
pub use turn::{Contender, Standing, first};

/// A claim is valid for the operator's `--timeout` and this much more: the time between the claim and the call.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(5);

/// One kind of operation: what it wants, what it calls, and what a read of the connector tells of it.
pub trait Operation {
    /// The kind's own part of the status.
    type Result: Clone + Debug + Default + PartialEq;

    /// The reason of a success.
    const SUCCESS: Reason;
    /// The kind, as in `kind:` of a manifest.
    const KIND: &'static str;
    /// Goes first among the requests for one connector: the smaller one.
    const RANK: u8;
    /// Whether the connector is read before every claim.
    const READS_FIRST: bool;

    /// Name, uid, times, annotations.
    fn metadata(&self) -> &ObjectMeta;
    /// The status as it is stored.
    fn status(&self) -> Option<&Status<Self::Result>>;
    /// What every kind's spec says.
    fn wish(&self) -> Wish<'_>;
    /// The one call that performs the operation.
    fn call(&self, result: &Self::Result) -> Call;

    /// Before a claim: checks and notes the connector as it was read. Called for kinds that read first, and for
    /// others never.
    fn prepare(&self, status: &mut Status<Self::Result>, connector: &Connector) -> Prepared;
    /// Before a claim, where reading is refused (403, 404).
    fn prepare_unseen(&self, status: &mut Status<Self::Result>) -> Prepared;
    /// After an attempt whose effect is not known: what the connector, as it is read now, tells.
    fn compare(&self, result: &Self::Result, connector: &Connector) -> Comparison;
    /// What it means for an attempt whose effect is not known that reading is refused.
    fn compare_unseen(&self) -> Comparison;
    /// What to do about a terminal answer to an attempt before which all is known: `true` to look once at the
    /// connector before believing it.
    fn doubts(&self, reason: Reason) -> bool;
    /// The reason of a success where a doubted answer turns out to mean that nothing was left to do.
    fn already(&self) -> Reason;
    /// Takes over what the answer to the call says.
    fn take_answer(&self, status: &mut Status<Self::Result>, data: &Data);
    /// Takes over what a read of the connector says.
    fn take_reading(&self, status: &mut Status<Self::Result>, connector: &Connector);
    /// One sentence for people about a success.
    fn success_message(&self, reason: Reason, status: &Status<Self::Result>) -> String;
}

/// What every kind's spec says.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// UUID of the connector.
    pub connector: &'a str,
    /// No attempt begins from this time on.
    pub not_after: Option<Timestamp>,
    /// No attempt begins this long after the begin of the request.
    pub active_deadline: Option<SignedDuration>,
    /// No new attempt begins.
    pub suspend: bool,
}

/// Whether an attempt may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It may.
    Ready,
    /// It must not: the request ends here.
    Stop(Reason, String),
    /// The read lacks what must be noted: it counts as failed for a passing reason.
    Incomplete(String),
}

/// What a read tells of an attempt whose effect is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It had its effect.
    Effect(Evidence),
    /// Something is under way: read again.
    Moving(String),
    /// It had none.
    Unchanged,
    /// It cannot be told.
    Ambiguous(String),
    /// The read lacks what is compared: it counts as failed for a passing reason.
    Incomplete(String),
}

/// What the operator's configuration says to the rules.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base address of the CDE API, in its canonical form.
    pub server: String,
    /// For one whole call.
    pub timeout: Duration,
    /// First step of the backoff.
    pub retry_min: Duration,
    /// Longest step of the backoff.
    pub retry_max: Duration,
    /// For objects without `activeDeadlineSeconds`; `None` for no deadline.
    pub deadline: Option<Duration>,
}

impl Settings {
    /// How long a claim is valid, in whole seconds, as Kubernetes stores them.
    #[must_use]
    pub fn claim_length(&self) -> SignedDuration {
        let whole = (self.timeout + CLAIM_MARGIN + Duration::from_nanos(999_999_999)).as_secs();
        SignedDuration::from_secs(i64::try_from(whole).unwrap_or(i64::MAX))
    }
}

/// All that [`decide`] looks at.
#[derive(Debug)]
pub struct Situation<'a, O: Operation> {
    /// The object as it is stored.
    pub object: &'a O,
    /// The outcome of a call that this process made and that is not stored yet.
    pub unrecorded: Option<&'a Status<O::Result>>,
    /// The wall clock.
    pub now: Timestamp,
    /// Who I am: `inFlight.holder` of my claims.
    pub me: &'a str,
    /// The configuration.
    pub settings: &'a Settings,
    /// What was seen beside the object.
    pub observed: &'a Observed,
}

/// What was seen beside the object.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// For how long, by its monotonic clock, this process has seen the claim or the wait that is stored.
    pub seen_for: Duration,
    /// How far the wall clock was set, forward or back, since then.
    pub clock_set: SignedDuration,
    /// Who for, if another request for the same connector goes first: `kind namespace/name`.
    pub waits_for: Option<String>,
    /// No call goes out at present: the API is paused or probed by another object.
    pub calls_held: bool,
    /// The connector as it was just read.
    pub reading: Option<Result<Connector, Failure>>,
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
    /// Nothing: the request belongs to an operator with another base address.
    NotOurs {
        /// The base address that the request belongs to.
        server: String,
    },
    /// Nothing before so much time has passed, or the object changes, or what it waits for ends.
    Wait(Option<Duration>),
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
