//! Where a request is: the stored status, parsed once.
//!
//! A status is a set of optional fields, and someone may have stored a combination that means nothing. A [`Phase`]
//! is one variant with the data of that variant alone; [`Phase::of`] is the only place that reads the combination.

use jiff::SignedDuration;

use crate::api::{InFlight, OperationRecord, Outcome, Status};

/// A claim that says it is longer is not believed.
const LONGEST_CLAIM: SignedDuration = SignedDuration::from_hours(1);

/// Where a request is.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Finished; `Failed` and `Unknown` can be reopened by the retry annotation.
    Finished(Outcome),
    /// Claimed for another base URL: it belongs to the operator that has it.
    Elsewhere {
        /// That base URL.
        server: String,
    },
    /// A claim is stored: its call may be in progress.
    Claimed {
        /// The claim.
        claim: InFlight,
        /// How long the claim lasts, by its holder's clock; `None` where that is absurd.
        length: Option<SignedDuration>,
    },
    /// No call is in progress, and the effect of an earlier one is open: a read must tell.
    Unverified,
    /// No attempt is open: the next one may begin when nothing forbids it.
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

/// Both ends of a claim are times of its holder's clock.
fn length(operation: &OperationRecord, claim: &InFlight) -> Option<SignedDuration> {
    let begin = operation.last_attempt_time.as_ref()?;
    let length = claim.until.0.duration_since(begin.0);
    (length.is_positive() && length <= LONGEST_CLAIM).then_some(length)
}
