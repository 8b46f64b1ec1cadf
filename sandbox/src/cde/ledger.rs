//! The ledger: every call in the order of arrival, what it was answered and whether it took effect.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::fault::CutPoint;
use super::operation::Operation;
use super::{Error, lock};

/// What a call was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// Nothing yet.
    #[default]
    Pending,
    /// This status, and a body.
    Status(u16),
    /// The connection was cut on purpose.
    Cut(CutPoint),
    /// It will never be answered.
    Hung,
    /// The connection was gone before there was an answer.
    Abandoned,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("pending"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Cut(CutPoint::BeforeHeaders) => f.write_str("cut before headers"),
            Self::Cut(CutPoint::AfterHeaders) => f.write_str("cut after headers"),
            Self::Cut(CutPoint::WithinBody) => f.write_str("cut within body"),
            Self::Hung => f.write_str("hung"),
            Self::Abandoned => f.write_str("abandoned"),
        }
    }
}

/// One call. It never holds the token.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Call {
    /// Counts from 1 in the order of arrival.
    pub sequence: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The connection it came on, counted from 1.
    pub connection: u64,
    /// `GET`, `PATCH`, `POST` …
    pub method: String,
    /// With its query, if any.
    pub path: String,
    /// Absent for a path that the API does not know.
    pub operation: Option<Operation>,
    /// The connector in the path.
    pub connector: Option<Uuid>,
    /// The version in the path, as sent.
    pub version: Option<String>,
    /// The header of that name.
    pub idempotency_key: Option<String>,
    /// The header `X-Request-Id`.
    pub request_id: Option<String>,
    /// The header of that name.
    pub user_agent: Option<String>,
    /// The header of that name: the trace, and the span of the caller.
    pub traceparent: Option<String>,
    /// Whether there was any `Authorization` header.
    pub authorization: bool,
    /// Whether it held an accepted token.
    pub authorized: bool,
    /// What it was answered.
    pub answered: Answered,
    /// Whether it changed something.
    pub effect: bool,
    /// When the operation was carried out, or refused by the API's own rules: what was done when stands in this
    /// order. Absent where a fault, or a refused token, came before that.
    pub carried_out: Option<Timestamp>,
    /// Whether a fault made the answer another than the API's own.
    pub struck: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.effect { " effect" } else { "" };
        let Self { sequence, at, connection, method, path, answered, .. } = self;
        write!(f, "{sequence:>5} {at:.3} #{connection} {method} {path} → {answered}{effect}")?;
        if let Some(id) = &self.request_id {
            write!(f, " ({id})")?;
        }
        Ok(())
    }
}

/// Every call so far, or only their numbers where the sandbox was told to count only.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    calls: Vec<Call>,
    total: u64,
    effects: HashMap<Uuid, usize>,
}

impl Ledger {
    /// All calls in the order of arrival; empty if they are only counted.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The calls of this operation or group for this connector, in the order of arrival.
    pub fn of(&self, operation: Operation, connector: Uuid) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(move |call| operation.covers(call.operation) && call.connector == Some(connector))
    }

    /// How many calls arrived.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many calls changed this connector.
    #[must_use]
    pub fn effects(&self, connector: Uuid) -> usize {
        self.effects.get(&connector).copied().unwrap_or(0)
    }

    /// How many calls changed anything.
    #[must_use]
    pub fn all_effects(&self) -> usize {
        self.effects.values().sum()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.calls.iter().try_for_each(|call| writeln!(f, "{call}"))?;
        write!(f, "{} calls, {} effects", self.total, self.all_effects())
    }
}

/// Is told of every call when its answer is known.
pub(super) type Observer = Box<dyn Fn(&Call) + Send + Sync>;

/// Keeps the ledger and wakes those who wait for it.
#[derive(Default)]
pub(super) struct Book {
    ledger: Mutex<Ledger>,
    changed: Notify,
    count_only: bool,
    observer: Option<Observer>,
}

impl Book {
    /// An empty ledger.
    pub(super) fn new(count_only: bool, observer: Option<Observer>) -> Self {
        Self { count_only, observer, ..Self::default() }
    }

    /// Enters a call that has arrived; its number is given here.
    pub(super) fn arrived(&self, mut call: Call) -> u64 {
        let mut ledger = lock(&self.ledger);
        ledger.total += 1;
        let sequence = ledger.total;
        if !self.count_only {
            call.sequence = sequence;
            ledger.calls.push(call);
        }
        drop(ledger);
        self.changed.notify_waiters();
        sequence
    }

    /// Notes that a fault makes a call's answer.
    pub(super) fn struck(&self, sequence: u64) {
        if let Some(call) = entry(&mut lock(&self.ledger), sequence) {
            call.struck = true;
        }
    }

    /// Notes that a call is carried out now.
    pub(super) fn carried_out(&self, sequence: u64) {
        if let Some(call) = entry(&mut lock(&self.ledger), sequence) {
            call.carried_out = Some(Timestamp::now());
        }
    }

    /// Notes that a call changed something.
    pub(super) fn took_effect(&self, sequence: u64, connector: Option<Uuid>) {
        let mut ledger = lock(&self.ledger);
        if let Some(connector) = connector {
            *ledger.effects.entry(connector).or_default() += 1;
        }
        if let Some(call) = entry(&mut ledger, sequence) {
            call.effect = true;
        }
        drop(ledger);
        self.changed.notify_waiters();
    }

    /// Notes what a call was answered; the first note stands.
    pub(super) fn answered(&self, sequence: u64, answered: Answered) {
        let mut ledger = lock(&self.ledger);
        let noted =
            entry(&mut ledger, sequence).filter(|call| call.answered == Answered::Pending).map(|call| {
                call.answered = answered;
                self.observer.as_ref().map(|observer| (observer, call.clone()))
            });
        drop(ledger);
        self.changed.notify_waiters();
        if let Some(Some((observer, call))) = noted {
            observer(&call);
        }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&lock(&self.ledger))
    }

    /// Waits until the condition holds.
    pub(super) async fn wait_for(
        &self,
        mut condition: impl FnMut(&Ledger) -> bool,
        patience: Duration,
    ) -> Result<(), Error> {
        let end = Instant::now() + patience;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.read(&mut condition) {
                return Ok(());
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return Err(Error::TimedOut { waited: patience, ledger: self.read(Ledger::clone) });
            }
        }
    }
}

fn entry(ledger: &mut Ledger, sequence: u64) -> Option<&mut Call> {
    ledger.calls.get_mut(usize::try_from(sequence).ok()?.checked_sub(1)?)
}
