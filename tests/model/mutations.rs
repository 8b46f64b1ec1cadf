//! Deliberate mistakes, each of which the model must catch: in the shell's protocol (applied where the model plays
//! the shell) and in the rules (applied around the real ones: what they are shown, and what they say).

use std::time::Duration;

use cde_operator::api::Status;
use cde_operator::cde::model::{Connector, Failure, FailureKind};
use cde_operator::operation::Step;
use jiff::Timestamp;

use crate::clock::{Glance, at};
use crate::rules::{Sight, Told, failure};
use crate::subject::{Stand, Subject};

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    // In the shell.
    /// The call is made without a claim.
    ClaimIsSkipped,
    /// A claim without a clear answer counts as stored.
    ClaimIsNotConfirmed,
    /// Writes are not bound to the version that was decided on.
    ConflictIsIgnored,
    /// An outcome is recorded whatever is stored by now.
    AnythingIsRecordedOver,
    /// The call goes out though the claim's time is over.
    LateClaimActs,
    /// A new claim is taken for as old as the one before it.
    AgeOutlivesItsClaim,
    /// What was read stays in use when the object turns out to be another.
    ReadingOutlivesItsObject,
    /// A record consumes the wish for a retry that came during its call.
    RecordConsumesWish,
    /// An outcome whose write was lost is replaced by a released claim.
    LostOutcomeReleases,
    /// Any stored claim counts as one on which nothing was sent.
    AnyClaimCountsAsUnsent,
    // Around the rules.
    /// A claim of somebody else's counts as over at once.
    ClaimIsNotWaitedOut,
    /// A claim under one's own name counts as given back.
    OwnNameIsTrusted,
    /// The next attempt follows an unknown one without a look.
    VerificationIsSkipped,
    /// Each read becomes the state before.
    StateBeforeIsForgotten,
    /// The version that was resolved is resolved anew for each attempt.
    PinIsForgotten,
    /// A connector that is moving counts as unchanged.
    MovingCountsAsUnchanged,
    /// A refused read counts as unchanged.
    RefusedReadCountsAsUnchanged,
    /// No answer counts as no effect.
    TimeOutMeansNoEffect,
    /// The connector is read before the claim of the unanswered call is over.
    ReadIsRaced,
    /// What is left of a claim is told by the wall clock, also if that was set during the call.
    ClockIsTrusted,
    /// A retry cuts any wait short, also the one for the claim of an unanswered call.
    RetryCutsEveryWaitShort,
    /// A terminal answer after an unknown attempt fails the request.
    TerminalAfterUnknownFails,
    /// A server error counts as success.
    ServerErrorIsSuccess,
    /// A finished request is open for whoever looks at it again.
    FinishedIsOpened,
    /// The attempts are counted anew with each write.
    AttemptsAreReset,
}

impl Mutation {
    /// Falsifies what [`decide`](cde_operator::operation::decide) is shown.
    pub(crate) fn falsify_sight<S: Subject>(
        self,
        sight: &mut Sight<S>,
        object: &dyn Fn(Status<S::Result>) -> S,
    ) {
        match self {
            Self::ClaimIsNotWaitedOut => sight.seen_for = Glance::Ripe.seen_for(),
            Self::FinishedIsOpened => sight.status.outcome = None,
            Self::MovingCountsAsUnchanged => sight.see_instead(S::connector(Stand::Moving, 1)),
            Self::RefusedReadCountsAsUnchanged if matches!(sight.reading, Some(Err(_))) => {
                sight.reading = Some(Ok(S::connector(Stand::Before, 1)));
            }
            Self::StateBeforeIsForgotten => {
                let Some(Ok(connector)) = &sight.reading else { return };
                let Some(operation) = &mut sight.status.operation else { return };
                let unknown = std::mem::take(&mut operation.unknown_attempts);
                object(sight.status.clone()).preflight(&mut sight.status, connector);
                sight.status.operation.get_or_insert_default().unknown_attempts = unknown;
            }
            Self::PinIsForgotten => S::unpin(&mut sight.status.result),
            Self::OwnNameIsTrusted => {
                let Some(operation) = &mut sight.status.operation else { return };
                operation.in_flight.take_if(|claim| claim.holder == sight.me);
            }
            Self::RetryCutsEveryWaitShort => {
                let asked = object(sight.status.clone()).metadata().annotations.is_some();
                let Some(operation) = sight.status.operation.as_mut().filter(|_| asked) else { return };
                operation.next_attempt_time = None;
            }
            Self::VerificationIsSkipped => {
                let Some(operation) = &mut sight.status.operation else { return };
                operation.unknown_attempts = 0;
            }
            _ => {}
        }
    }

    /// Falsifies what [`decide`](cde_operator::operation::decide) says.
    pub(crate) fn falsify_step<R>(self, mut step: Step<R>) -> Step<R> {
        if let (Self::AttemptsAreReset, Step::Write(status)) = (self, &mut step) {
            status.operation.get_or_insert_default().attempts = 0;
        }
        step
    }

    /// Falsifies what [`apply_response`](cde_operator::operation::apply_response) is shown.
    pub(crate) fn falsify_answer<S: Subject>(self, status: &mut Status<S::Result>, told: &mut Told) {
        let code = told.as_ref().err().map(Failure::code);
        match self {
            Self::TimeOutMeansNoEffect if code == Some(None) => *told = Err(failure(FailureKind::NotSent)),
            Self::ServerErrorIsSuccess if code == Some(Some(500)) => *told = Ok(S::success()),
            Self::TerminalAfterUnknownFails => {
                status.operation.get_or_insert_default().unknown_attempts = 0;
            }
            _ => {}
        }
    }

    /// What [`apply_response`](cde_operator::operation::apply_response) is told to be left of the claim.
    pub(crate) fn falsify_claim_left(self, left: Duration, now: Timestamp) -> Duration {
        let by_the_clock = (at(1) + left).duration_since(now);
        if self == Self::ClockIsTrusted { Duration::try_from(by_the_clock).unwrap_or_default() } else { left }
    }

    /// Falsifies what [`apply_response`](cde_operator::operation::apply_response) says.
    pub(crate) fn falsify_outcome<R>(self, status: &mut Status<R>) {
        if self == Self::ReadIsRaced {
            status.operation.get_or_insert_default().next_attempt_time = None;
        }
    }
}

impl<S: Subject> Sight<S> {
    /// The unchanged connector instead of `seen`.
    fn see_instead(&mut self, seen: Connector) {
        if self.reading == Some(Ok(seen)) {
            self.reading = Some(Ok(S::connector(Stand::Before, 1)));
        }
    }
}
