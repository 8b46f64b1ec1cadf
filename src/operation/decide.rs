//! The transition function: returns the next step for one object.

use std::ops::ControlFlow;

use crate::cde::model::CallId;

use super::confirm::confirmed;
use super::phase::Phase;
use super::preview::suspended;
use super::rules::{self, Flow};
use super::status_builder::StatusBuilder;
use super::verify::verify;
use super::{Observed, Operation, Situation, Step};

/// A rule ends the decision with a step, or hands the request to the next rule.
type Rule<O> = for<'a> fn(StatusBuilder<'a, O>, &Observed) -> Flow<'a, O>;

/// Returns the next step. The phase of the request selects the rules, and the first rule that returns a step decides.
#[must_use]
pub fn decide<O: Operation>(situation: &Situation<'_, O>) -> Step<O::Result> {
    if let Some(Ok(outcome)) = confirmed(situation.object) {
        let Situation { object, now, settings, observed, .. } = *situation;
        return StatusBuilder::of(object, now, settings, observed.jitter).confirm(outcome);
    }
    let request = StatusBuilder::open(situation);
    match advance(request, situation.observed) {
        ControlFlow::Continue(request) => request.claim(situation.holder),
        ControlFlow::Break(step) => step,
    }
}

fn advance<'a, O: Operation>(request: StatusBuilder<'a, O>, observed: &Observed) -> Flow<'a, O> {
    let request = match request.phase() {
        Phase::Finished(outcome) => return ControlFlow::Break(rules::finished(request, outcome)),
        Phase::Elsewhere { server } => return ControlFlow::Break(Step::NotOurs { server }),
        Phase::Claimed { length, .. } => {
            let released = rules::claimed(request, length, observed)?;
            if released.is_unverified() { verify(released, observed)? } else { released }
        }
        Phase::Unverified => verify(request, observed)?,
        Phase::Open => request,
    };
    attempt(request, observed)
}

/// Whether the next attempt may begin now. The order of the rules is part of the contract.
fn attempt<'a, O: Operation>(request: StatusBuilder<'a, O>, observed: &Observed) -> Flow<'a, O> {
    let in_order: [Rule<O>; 8] = [
        rules::being_deleted,
        rules::replay_guard,
        rules::limits,
        suspended,
        rules::queue,
        rules::circuit_breaker,
        rules::backoff,
        rules::preflight,
    ];
    in_order.into_iter().try_fold(request, |request, rule| rule(request, observed))
}

/// Identifies the next call about an object: its request, and the attempts claimed so far.
#[must_use]
pub fn next_call<O: Operation>(situation: &Situation<'_, O>) -> CallId {
    let operation = StatusBuilder::open(situation).status.operation.unwrap_or_default();
    CallId { operation: operation.id, attempt: operation.attempts }
}
