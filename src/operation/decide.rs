//! What comes next for one object: the rules, in the order in which they hold.

use crate::api::Status;
use crate::cde::model::CallId;

use super::case::Case;
use super::rules::{self, Ruled};
use super::verify::verify;
use super::{Observed, Operation, Situation, Step};

/// One rule: it ends the decision (`Err`), or leaves the case to the next one.
type Rule<O> = for<'a> fn(Case<'a, O>, &Observed) -> Ruled<'a, O>;

/// Decides: the same values give the same step.
#[must_use]
pub fn decide<O: Operation>(situation: &Situation<'_, O>) -> Step<O::Result> {
    let in_order: [Rule<O>; 12] = [
        rules::finished,
        rules::another_server,
        rules::claimed,
        verify,
        rules::being_deleted,
        rules::history,
        rules::limits,
        rules::suspended,
        rules::turn,
        rules::calls_held,
        rules::backoff,
        rules::survey,
    ];
    let undecided =
        in_order.into_iter().try_fold(Case::new(situation), |case, rule| rule(case, situation.observed));
    match (undecided, situation.unrecorded) {
        (Ok(case), None) => case.claim(situation.me),
        // An outcome is stored before the next attempt, and before any read but the one that it asks for.
        (Ok(_), Some(outcome)) => Step::Write(Box::new(outcome.clone())),
        (Err(Step::Read), Some(outcome)) if !doubted(outcome) => Step::Write(Box::new(outcome.clone())),
        (Err(step), _) => step,
    }
}

/// A terminal answer that a read must still confirm.
fn doubted<R>(outcome: &Status<R>) -> bool {
    outcome.operation.as_ref().is_some_and(|operation| operation.refusal().is_some())
}

/// Identifies the next call about an object: the request that it belongs to, and the attempts claimed so far.
#[must_use]
pub fn identify<O: Operation>(situation: &Situation<'_, O>) -> CallId {
    let operation = Case::new(situation).status.operation.unwrap_or_default();
    CallId { operation: operation.id, attempt: operation.attempts }
}
