//! Deliberate mistakes, each of which the model must detect: in the shell's protocol (applied where the model acts as
//! the shell) and in the rules (applied to the inputs and results of the real ones).

use std::time::Duration;

use cde_operator::api::Status;
use cde_operator::cde::model::{Connector, Failure, FailureKind};
use cde_operator::operation::Step;
use jiff::Timestamp;

use crate::clock::{Glance, at};
use crate::rules::{CallResult, Inputs, failure};
use crate::subject::{Stand, Subject};

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    // In the shell.
    /// The call is made without a claim.
    ClaimIsSkipped,
    /// A claim without a clear answer counts as stored.
    ClaimIsNotConfirmed,
    /// Writes do not depend on the version that the decision was based on.
    ConflictIsIgnored,
    /// An outcome is recorded whatever is stored meanwhile.
    AnythingIsRecordedOver,
    /// The call goes out although the time of its claim is over.
    LateClaimActs,
    /// A new claim is treated as being as old as the one before it.
    AgeOutlivesItsClaim,
    /// The result of a read stays in use when the object turns out to be another one.
    ReadingOutlivesItsObject,
    /// A record consumes a retry that was requested during its call.
    RecordConsumesRetry,
    /// An outcome whose write was lost is replaced by a released claim.
    LostOutcomeReleases,
    /// Any stored claim counts as one on which nothing was sent.
    AnyClaimCountsAsUnsent,
    // Around the rules.
    /// Another operator's claim counts as over at once.
    ClaimIsNotWaitedOut,
    /// A claim under the operator's own name counts as released.
    OwnNameIsTrusted,
    /// The next attempt follows an unknown one without a read.
    VerificationIsSkipped,
    /// Each read becomes the state before.
    StateBeforeIsForgotten,
    /// The resolved version is resolved again for each attempt.
    PinIsForgotten,
    /// A connector in transition counts as unchanged.
    MovingCountsAsUnchanged,
    /// A refused read counts as unchanged.
    RefusedReadCountsAsUnchanged,
    /// A missing response counts as no effect.
    TimeoutMeansNoEffect,
    /// The connector is read before the claim of the unanswered call is over.
    ReadIsRaced,
    /// The remaining time of a claim comes from the wall clock, even if that was set during the call.
    ClockIsTrusted,
    /// A retry cuts every wait short, including the one for the claim of an unanswered call.
    RetryCutsEveryWaitShort,
    /// A final refusal after an unknown attempt fails the request.
    TerminalAfterUnknownFails,
    /// A server error counts as success.
    ServerErrorIsSuccess,
    /// A finished request counts as open when it is reconciled again.
    FinishedIsOpened,
    /// Each write resets the number of attempts.
    AttemptsAreReset,
    /// A confirmation of another request counts.
    AnyConfirmationCounts,
}

impl Mutation {
    /// Falsifies the inputs of [`decide`](cde_operator::operation::decide).
    pub(crate) fn falsify_inputs<S: Subject>(
        self,
        inputs: &mut Inputs<S>,
        object: &dyn Fn(Status<S::Result>) -> S,
    ) {
        match self {
            Self::ClaimIsNotWaitedOut => inputs.seen_for = Glance::Ripe.seen_for(),
            Self::FinishedIsOpened => inputs.status.outcome = None,
            Self::MovingCountsAsUnchanged => inputs.see_instead(S::connector(Stand::Moving, 1)),
            Self::RefusedReadCountsAsUnchanged if matches!(inputs.reading, Some(Err(_))) => {
                inputs.reading = Some(Ok(S::connector(Stand::Before, 1)));
            }
            Self::StateBeforeIsForgotten => {
                let Some(Ok(connector)) = &inputs.reading else { return };
                let Some(operation) = &mut inputs.status.operation else { return };
                let unknown = std::mem::take(&mut operation.unknown_attempts);
                object(inputs.status.clone()).preflight(&mut inputs.status, connector);
                inputs.status.operation.get_or_insert_default().unknown_attempts = unknown;
            }
            Self::AnyConfirmationCounts => {
                let request = inputs.request;
                inputs.object.confirm = inputs.object.confirm.and_then(|(_, it)| Some((request?, it)));
            }
            Self::PinIsForgotten => S::unpin(&mut inputs.status.result),
            Self::OwnNameIsTrusted => {
                let Some(operation) = &mut inputs.status.operation else { return };
                operation.in_flight.take_if(|claim| claim.holder == inputs.me);
            }
            Self::RetryCutsEveryWaitShort => {
                let asked = object(inputs.status.clone()).metadata().annotations.is_some();
                let Some(operation) = inputs.status.operation.as_mut().filter(|_| asked) else { return };
                operation.next_attempt_time = None;
            }
            Self::VerificationIsSkipped => {
                let Some(operation) = &mut inputs.status.operation else { return };
                operation.unknown_attempts = 0;
            }
            _ => {}
        }
    }

    /// Falsifies the result of [`decide`](cde_operator::operation::decide).
    pub(crate) fn falsify_step<R>(self, mut step: Step<R>) -> Step<R> {
        if let (Self::AttemptsAreReset, Step::Write(status)) = (self, &mut step) {
            status.operation.get_or_insert_default().attempts = 0;
        }
        step
    }

    /// Falsifies the inputs of [`apply_response`](cde_operator::operation::apply_response).
    pub(crate) fn falsify_answer<S: Subject>(self, status: &mut Status<S::Result>, told: &mut CallResult) {
        let code = told.as_ref().err().map(Failure::code);
        match self {
            Self::TimeoutMeansNoEffect if code == Some(None) => *told = Err(failure(FailureKind::NotSent)),
            Self::ServerErrorIsSuccess if code == Some(Some(500)) => *told = Ok(S::success()),
            Self::TerminalAfterUnknownFails => {
                status.operation.get_or_insert_default().unknown_attempts = 0;
            }
            _ => {}
        }
    }

    /// Falsifies the remaining time of the claim for [`apply_response`](cde_operator::operation::apply_response).
    pub(crate) fn falsify_claim_left(self, left: Duration, now: Timestamp) -> Duration {
        let by_the_clock = (at(1) + left).duration_since(now);
        if self == Self::ClockIsTrusted { Duration::try_from(by_the_clock).unwrap_or_default() } else { left }
    }

    /// Falsifies the result of [`apply_response`](cde_operator::operation::apply_response).
    pub(crate) fn falsify_outcome<R>(self, status: &mut Status<R>) {
        if self == Self::ReadIsRaced {
            status.operation.get_or_insert_default().next_attempt_time = None;
        }
    }
}

impl<S: Subject> Inputs<S> {
    /// Replaces the unchanged connector by `seen`.
    fn see_instead(&mut self, seen: Connector) {
        if self.reading == Some(Ok(seen)) {
            self.reading = Some(Ok(S::connector(Stand::Before, 1)));
        }
    }
}
