//! The ledger: every call in order of arrival, its response, and whether it took effect.

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

/// The response to a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// None yet.
    #[default]
    Pending,
    /// This status, with a body.
    Status(u16),
    /// The connection was cut on purpose.
    Cut(CutPoint),
    /// The call hangs and is never answered.
    Hung,
    /// The connection was gone before there was a response.
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

/// One call. It never contains the token.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Call {
    /// The number of the call, counted from 1 in order of arrival.
    pub sequence: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The number of its connection, counted from 1.
    pub connection: u64,
    /// `GET`, `PATCH`, `POST` and so on.
    pub method: String,
    /// The path with its query, if there is one.
    pub path: String,
    /// The operation; `None` for a path that the API does not know.
    pub operation: Option<Operation>,
    /// The connector in the path.
    pub connector: Option<Uuid>,
    /// The version in the path, as sent.
    pub version: Option<String>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The header `X-Request-Id`.
    pub request_id: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The header `traceparent`: the trace, and the span of the caller.
    pub traceparent: Option<String>,
    /// Whether there was any `Authorization` header.
    pub authorization: bool,
    /// Whether it held an accepted token.
    pub authorized: bool,
    /// The response.
    pub answered: Answered,
    /// Whether it changed something.
    pub effect: bool,
    /// When the operation was carried out, or rejected by the API's own rules. These times have the order in which the
    /// operations were done. `None` where a fault or a rejected token came first.
    pub carried_out: Option<Timestamp>,
    /// Whether a fault changed the response.
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

/// Every call so far, or only their numbers if the sandbox was told to only count.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    calls: Vec<Call>,
    total: u64,
    effects: HashMap<Uuid, usize>,
}

impl Ledger {
    /// All calls in order of arrival; empty if they are only counted.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the calls of this operation or group for this connector, in order of arrival.
    pub fn of(&self, operation: Operation, connector: Uuid) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(move |call| operation.covers(call.operation) && call.connector == Some(connector))
    }

    /// Returns how many calls arrived.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many calls changed this connector.
    #[must_use]
    pub fn effects(&self, connector: Uuid) -> usize {
        self.effects.get(&connector).copied().unwrap_or(0)
    }

    /// Returns how many calls changed anything.
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

/// A function that gets every call when its response is known.
pub(super) type Observer = Box<dyn Fn(&Call) + Send + Sync>;

/// Keeps the ledger and wakes the tasks that wait for it.
#[derive(Default)]
pub(super) struct Book {
    ledger: Mutex<Ledger>,
    changed: Notify,
    count_only: bool,
    observer: Option<Observer>,
}

impl Book {
    /// Returns an empty ledger.
    pub(super) fn new(count_only: bool, observer: Option<Observer>) -> Self {
        Self { count_only, observer, ..Self::default() }
    }

    /// Adds a call that has arrived, and returns its number.
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

    /// Records that the token of a call was accepted after its arrival.
    pub(super) fn authorized(&self, sequence: u64) {
        if let Some(call) = entry(&mut lock(&self.ledger), sequence) {
            call.authorized = true;
        }
    }

    /// Records that a fault decides the response to a call.
    pub(super) fn struck(&self, sequence: u64) {
        if let Some(call) = entry(&mut lock(&self.ledger), sequence) {
            call.struck = true;
        }
    }

    /// Records that a call is carried out now.
    pub(super) fn carried_out(&self, sequence: u64) {
        if let Some(call) = entry(&mut lock(&self.ledger), sequence) {
            call.carried_out = Some(Timestamp::now());
        }
    }

    /// Records that a call changed something.
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

    /// Records the response to a call. Only the first one counts.
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
