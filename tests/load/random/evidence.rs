//! Everything that a run leaves for the oracle, and the questions that several rules ask.

use std::collections::HashMap;

use cde_sandbox::cde::{Answered, Call, Connector, CutPoint, Operation, RollbackEffect};
use jiff::Timestamp;
use uuid::Uuid;

use crate::random::actor::Freeze;
use cde_harness::{Kind, Object};

/// The data that a run leaves.
#[derive(Default)]
pub(crate) struct Evidence {
    /// The calls of the CDE API in order of arrival.
    pub(crate) ledger: Vec<Call>,
    /// The connectors at the start.
    pub(crate) connectors: HashMap<Uuid, Connector>,
    pub(crate) histories: Vec<History>,
    pub(crate) processes: Vec<Process>,
    /// Calls per second that each operator may make.
    pub(crate) rate: u32,
    /// How many operators run at the same time.
    pub(crate) operators: usize,
    /// How long the whole run took.
    pub(crate) seconds: usize,
    /// Writes of an object's status by its name, as the operators sent them.
    pub(crate) writes_sent: HashMap<String, usize>,
    /// Everything that was shown to anyone, by place.
    pub(crate) shown: Vec<(String, String)>,
    pub(crate) secrets: Vec<String>,
}

/// A process of an operator.
#[derive(Default)]
pub(crate) struct Process {
    pub(crate) pod: String,
    pub(crate) freezes: Vec<Freeze>,
    /// What was wrong with how it ended.
    pub(crate) complaint: Option<String>,
    /// Reconciliations that it counted, if its metrics could be read.
    pub(crate) reconciles: Option<usize>,
    pub(crate) log: String,
}

/// An object's life: its stored versions in order.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) uid: String,
    pub(crate) kind: Kind,
    pub(crate) deleted: bool,
    pub(crate) versions: Vec<Object>,
}

/// A claim as it was stored.
pub(crate) struct Claim<'a> {
    pub(crate) history: &'a History,
    pub(crate) holder: &'a str,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl History {
    pub(crate) fn last(&self) -> &Object {
        self.versions.last().expect("an object has a version")
    }

    pub(crate) fn name(&self) -> &str {
        self.last().metadata()["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn connector(&self) -> Uuid {
        self.last().0["spec"]["connectorID"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default()
    }

    /// Returns each version with the one before it.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Object, &Object)> {
        self.versions.iter().zip(self.versions.iter().skip(1))
    }

    /// Returns whether the last version has an outcome, or is suspended.
    pub(crate) fn has_ended(&self) -> bool {
        let last = self.last();
        self.deleted
            || last.outcome().is_some()
            || (last.0["spec"]["suspend"] == true && last.reason() == "Suspended")
    }
}

impl Evidence {
    /// Returns the changing calls.
    pub(crate) fn changing(&self) -> impl Iterator<Item = &Call> {
        self.ledger.iter().filter(|call| Operation::Changing.covers(call.operation))
    }

    /// Returns the changing calls of one request.
    pub(crate) fn calls_of<'a>(&'a self, request: &'a str) -> impl Iterator<Item = &'a Call> {
        self.changing().filter(move |call| call.idempotency_key.as_deref() == Some(request))
    }

    /// Returns the reads of a connector for one request.
    pub(crate) fn reads_of<'a>(&'a self, request: &'a str) -> impl Iterator<Item = &'a Call> {
        self.ledger
            .iter()
            .filter(|call| call.operation == Some(Operation::Read))
            .filter(move |call| attempt(call).is_some_and(|(id, _)| id == request))
    }

    /// Returns the claims of all objects as they were first stored.
    pub(crate) fn claims(&self) -> HashMap<(String, u64), Claim<'_>> {
        let mut claims = HashMap::new();
        for history in &self.histories {
            for version in &history.versions {
                let Some(attempt) = version.claimed_attempt() else { continue };
                let claim = Claim {
                    history,
                    holder: version.operation()["inFlight"]["holder"].as_str().unwrap_or_default(),
                    from: version.time("/status/operation/lastAttemptTime").unwrap_or_default(),
                    until: version.time("/status/operation/inFlight/until").unwrap_or_default(),
                };
                claims.entry((version.request_id().to_owned(), attempt)).or_insert(claim);
            }
        }
        claims
    }

    /// Returns whether the process that made the call was frozen between its claim and the call, when it could not
    /// notice.
    pub(crate) fn was_frozen(&self, claim: &Claim<'_>, call: &Call) -> bool {
        let this = attempt(call).map(|(id, attempt)| (id.to_owned(), attempt));
        self.processes
            .iter()
            .filter(|process| claim.holder.starts_with(&format!("{}-", process.pod)))
            .flat_map(|process| &process.freezes)
            .filter(|freeze| freeze.unheard.is_none() || freeze.unheard != this)
            .any(|freeze| freeze.from < call.at && claim.from < freeze.to)
    }

    /// Returns what a read of the connector shows at `time`, as a number that differs where the content differs.
    /// `None` where that also depends on unrecorded events.
    pub(crate) fn visible(&self, connector: Uuid, time: Timestamp) -> Option<usize> {
        let effects = self.effects_by(connector, Operation::Rollback, time);
        match self.connectors.get(&connector)?.rollback {
            RollbackEffect::Swap => Some(effects % 2),
            RollbackEffect::ToLegacy | RollbackEffect::StateOnly => Some(effects.min(1)),
            RollbackEffect::Invisible => Some(0),
            RollbackEffect::Moving => None,
        }
    }

    /// Returns how many effects of this operation the connector had by `time`.
    pub(crate) fn effects_by(&self, connector: Uuid, operation: Operation, time: Timestamp) -> usize {
        self.changing()
            .filter(|call| {
                call.effect && call.connector == Some(connector) && call.operation == Some(operation)
            })
            .filter(|call| call.carried_out.is_some_and(|at| at <= time))
            .count()
    }

    /// Returns whether the connector was out of the bin at `time`.
    pub(crate) fn is_live(&self, connector: Uuid, time: Timestamp) -> bool {
        self.connectors.get(&connector).is_some_and(|it| !it.in_bin)
            || self.effects_by(connector, Operation::Restore, time) > 0
    }
}

/// Returns the request and the attempt of a call, from its `X-Request-Id`.
pub(crate) fn attempt(call: &Call) -> Option<(&str, u64)> {
    let (id, attempt) = call.request_id.as_deref()?.rsplit_once('-')?;
    Some((id, attempt.parse().ok()?))
}

/// Returns whether the response, as far as it was sent, says that the call had no effect.
pub(crate) fn refused(call: &Call) -> bool {
    // A status line of 200 is never sent without the effect. All other responses of the API are 4xx.
    let cut_refusal = is_cut_after_status(call) && !call.effect;
    let refusal = matches!(call.answered, Answered::Status(400..=499)) && !has_status(call, &[408, 409]);
    refusal || cut_refusal
}

/// Returns whether the response, as far as it was sent, says that the call was a success.
pub(crate) fn says_success(call: &Call) -> bool {
    has_status(call, &[200]) || is_cut_after_status(call) && call.effect
}

fn is_cut_after_status(call: &Call) -> bool {
    matches!(call.answered, Answered::Cut(CutPoint::AfterHeaders | CutPoint::WithinBody))
}

/// Returns whether the connector was read as it was.
pub(crate) fn is_clean_reading(call: &Call) -> bool {
    has_status(call, &[200]) && !call.struck && call.carried_out.is_some()
}

pub(crate) fn has_status(call: &Call, statuses: &[u16]) -> bool {
    matches!(call.answered, Answered::Status(status) if statuses.contains(&status))
}
