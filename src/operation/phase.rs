//! The phase of a request: the stored status, parsed once.
//!
//! A status is a set of optional fields, and its combination may be contradictory. Only [`Phase::of`] interprets it.

use jiff::SignedDuration;

use crate::api::{InFlight, OperationRecord, Outcome, Status};

/// Longer claims are treated as absurd.
const LONGEST_CLAIM: SignedDuration = SignedDuration::from_hours(1);

/// The phase of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Finished. The retry annotation can reopen `Failed` and `Unknown`.
    Finished(Outcome),
    /// Claimed by an operator with another base URL, which the request belongs to.
    Elsewhere {
        /// The other base URL.
        server: String,
    },
    /// A claim is stored: its call may be in progress.
    Claimed {
        /// The claim.
        claim: InFlight,
        /// The length of the claim, by its holder's clock; `None` if it is absurd.
        length: Option<SignedDuration>,
    },
    /// No call is in progress, and a read must verify an earlier one.
    Unverified,
    /// The next attempt may begin when no rule forbids it.
    Open,
}

impl Phase {
    /// Parses the status of a request, for an operator with the base URL `server`.
    #[must_use]
    pub fn of<R>(status: &Status<R>, server: &str) -> Self {
        if let Some(outcome) = status.outcome {
            return Self::Finished(outcome);
        }
        let Some(operation) = &status.operation else { return Self::Open };
        match (&operation.server, &operation.in_flight) {
            (Some(other), _) if other != server => Self::Elsewhere { server: other.clone() },
            (_, Some(claim)) => Self::Claimed { claim: claim.clone(), length: length(operation, claim) },
            _ if operation.is_unverified() => Self::Unverified,
            _ => Self::Open,
        }
    }
}

/// Both ends of a claim are times of its holder's clock, so they can be compared.
fn length(operation: &OperationRecord, claim: &InFlight) -> Option<SignedDuration> {
    let begin = operation.last_attempt_time.as_ref()?;
    let length = claim.until.0.duration_since(begin.0);
    (length.is_positive() && length <= LONGEST_CLAIM).then_some(length)
}
