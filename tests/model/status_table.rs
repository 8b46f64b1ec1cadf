//! A table of statuses: each status that was ever written has a number, so that a state of the model is only a few
//! bytes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cde_operator::api::{Evidence, Outcome, Reason, Status};
use serde::Serialize;

use crate::clock::normalized;
use crate::state::{Name, REQUESTS, Request, Who};

/// The number of a status in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatusId(u32);

/// The parts of a status that the shell and the properties use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusSummary {
    pub(crate) request: Option<Request>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) reason: Option<Reason>,
    pub(crate) evidence: Option<Evidence>,
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    /// The holder and the attempt of the claim.
    pub(crate) claim: Option<(Name, u32)>,
    /// It is open, and a read must confirm the final response to its last call.
    pub(crate) refused: bool,
    /// There is a time to wait for.
    pub(crate) waits: bool,
    /// The handled retry annotation: 0 for none.
    pub(crate) handled: u8,
    /// The same number means the same `status.operation`.
    pub(crate) operation: usize,
}

impl StatusSummary {
    /// Identifies a claim or a wait. Its time runs while it stays the same.
    pub(crate) fn pause(&self) -> (Option<Request>, u32, u32, Option<Name>) {
        (self.request, self.attempts, self.retries, self.claim.map(|(name, _)| name))
    }
}

/// All statuses that were ever written.
pub(crate) struct StatusTable<R> {
    pages: Vec<(Arc<Status<R>>, StatusSummary)>,
    ids: HashMap<String, StatusId>,
    operations: HashMap<String, usize>,
    requests: Vec<String>,
}

impl<R: Serialize + Clone> StatusTable<R> {
    pub(crate) fn new() -> Self {
        Self { pages: Vec::new(), ids: HashMap::new(), operations: HashMap::new(), requests: Vec::new() }
    }

    pub(crate) fn read(&self, id: StatusId) -> &(Arc<Status<R>>, StatusSummary) {
        &self.pages[id.0 as usize]
    }

    /// Returns the reasons in all of them.
    pub(crate) fn reasons(&self) -> BTreeSet<Reason> {
        self.pages.iter().filter_map(|(_, summary)| summary.reason).collect()
    }

    /// Adds `status`, with its times as symbols, and returns its number.
    pub(crate) fn write(&mut self, status: Status<R>) -> StatusId {
        let status = normalized(status);
        let text = serde_json::to_string(&status).unwrap();
        if let Some(id) = self.ids.get(&text) {
            return *id;
        }
        let id = StatusId(u32::try_from(self.pages.len()).unwrap());
        let summary = self.summary(&status);
        self.pages.push((Arc::new(status), summary));
        self.ids.insert(text, id);
        id
    }

    fn summary(&mut self, status: &Status<R>) -> StatusSummary {
        let operation = status.operation.clone().unwrap_or_default();
        let text = serde_json::to_string(&status.operation).unwrap();
        let numbers = self.operations.len();
        let refused = status.outcome.is_none() && operation.refusal().is_some();
        StatusSummary {
            request: status.operation.as_ref().map(|operation| self.request(&operation.id)),
            outcome: status.outcome,
            reason: status.reason,
            evidence: operation.evidence,
            attempts: operation.attempts,
            retries: operation.backoff_step,
            claim: operation.in_flight.map(|claim| (named(&claim.holder), claim.attempt)),
            refused,
            waits: operation.next_attempt_time.is_some(),
            handled: status.last_handled_retry.as_ref().map_or(0, |time| retry(time.0)),
            operation: *self.operations.entry(text).or_insert(numbers),
        }
    }

    /// Returns the `operation.id` of a request.
    pub(crate) fn request_id(&self, request: Request) -> String {
        self.requests[usize::from(request)].clone()
    }

    fn request(&mut self, id: &str) -> Request {
        let found = self.requests.iter().position(|known| known == id).unwrap_or_else(|| {
            self.requests.push(id.to_owned());
            self.requests.len() - 1
        });
        assert!(found < REQUESTS, "more requests than REQUESTS allows for");
        u8::try_from(found).unwrap()
    }
}

/// Returns the holder that stands for `name`.
pub(crate) fn holder((who, drawn): Name) -> String {
    format!("{who:?}{drawn}")
}

fn named(holder: &str) -> Name {
    let (who, drawn) = holder.split_at(1);
    (if who == "A" { Who::A } else { Who::B }, drawn.parse().unwrap())
}

/// Returns the value of the retry annotation with this number.
pub(crate) fn retry_time(number: u8) -> jiff::Timestamp {
    crate::clock::at(i64::from(number))
}

fn retry(time: jiff::Timestamp) -> u8 {
    u8::try_from(time.duration_since(crate::clock::at(0)).as_secs()).unwrap()
}
