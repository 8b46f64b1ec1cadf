//! The rules of [`decide`](super::decide()), one function each, in their order.

use std::ops::ControlFlow::{self, Break, Continue};

use jiff::SignedDuration;

use crate::api::{Outcome, Reason};
use crate::cde::model::{Failure, FailureKind};

use super::classify::{Class, classify_read};
use super::messages::{ON_HOLD, QUEUED, QUEUED_END, answer_text, sentence, show, wait_message};
use super::status_builder::StatusBuilder;
use super::waits::signed;
use super::{Observed, Operation, Preflight, Step};

/// The result of a rule: the step that ends the decision, or the request for the next rule.
pub(super) type Flow<'a, O> = ControlFlow<Step<<O as Operation>::Result>, StatusBuilder<'a, O>>;

/// An object created this long after its own `notAfter` is stale.
const STALE: SignedDuration = SignedDuration::from_hours(24);

/// Leaves a finished request alone, except that a failed one notes the newest generation.
pub(super) fn finished<O: Operation>(mut request: StatusBuilder<'_, O>, outcome: Outcome) -> Step<O::Result> {
    let seen = request.status.observed_generation == request.object.metadata().generation;
    if outcome.is_final() || seen {
        return Step::Rest;
    }
    request.observe();
    request.write()
}

/// Waits for the end of a stored claim by this process's own clock, after which the effect of its call is unknown.
/// Releases a claim on which nothing was sent.
pub(super) fn claimed<'a, O: Operation>(
    mut request: StatusBuilder<'a, O>,
    length: Option<SignedDuration>,
    observed: &Observed,
) -> Flow<'a, O> {
    if observed.claim_unsent {
        request.operation().in_flight = None;
        // An earlier attempt is verified again, and that may have to wait.
        if request.is_unverified() {
            request.say(Reason::Verifying, &wait_message(Reason::Verifying, &request.last_error_text()));
        }
        return Continue(request);
    }
    let length = length.unwrap_or_else(|| request.settings.claim_length());
    let left = length.saturating_sub(signed(observed.seen_for));
    if left.is_positive() {
        return Break(Step::Wait(Some(left.unsigned_abs())));
    }
    let operation = request.operation();
    operation.in_flight = None;
    operation.unknown_attempts = operation.unknown_attempts.saturating_add(1);
    let lost = Failure {
        kind: FailureKind::NoAnswer,
        message: "the previous attempt ended before its outcome was recorded".to_owned(),
        retry_at: None,
    };
    request.note(&lost, None);
    request.say(Reason::Verifying, &wait_message(Reason::Verifying, &lost.message));
    Continue(request)
}

/// Begins no attempt for an object that is being deleted. If a read showed no effect of the last attempt, that is stored:
/// a finalizer may keep the object, which must not treat the effect of a later request as its own.
pub(super) fn being_deleted<'a, O: Operation>(
    mut request: StatusBuilder<'a, O>,
    _: &Observed,
) -> Flow<'a, O> {
    if request.object.metadata().deletion_timestamp.is_none() {
        return Continue(request);
    }
    if !request.is_unverified() {
        return Break(Step::Rest);
    }
    request.operation().unknown_attempts = 0;
    let message = "The object is being deleted: no attempt begins. The last attempt had no effect.";
    Break(request.wait(Reason::OnHold, message, None))
}

/// Skips a stale object, because a rebuilt cluster applies old operations again.
pub(super) fn replay_guard<'a, O: Operation>(request: StatusBuilder<'a, O>, _: &Observed) -> Flow<'a, O> {
    let created = request.object.metadata().creation_timestamp.as_ref().map(|time| time.0);
    match (request.object.request_spec().not_after, created) {
        (Some(not_after), Some(created))
            if request.attempts() == 0 && created.duration_since(not_after) > STALE =>
        {
            let message = format!(
                "Skipped as stale: this object was created at {}, more than a day after its own notAfter {}. Nothing was called.",
                show(created),
                show(not_after)
            );
            Break(request.finish(Reason::Skipped, &message))
        }
        _ => Continue(request),
    }
}

/// Ends a request that is past a limit.
pub(super) fn limits<'a, O: Operation>(request: StatusBuilder<'a, O>, _: &Observed) -> Flow<'a, O> {
    let Some((limit, reason)) = request.past_limit() else { return Continue(request) };
    let (what, limit) = match reason {
        Reason::Expired => ("Expired", format!("{} (spec.notAfter)", show(limit))),
        _ => ("Deadline exceeded", show(limit)),
    };
    let why = match request.last_error() {
        Some(error) => {
            format!(" Last error: {}.", answer_text(error.code, error.message.trim_end_matches('.')))
        }
        None => String::new(),
    };
    Break(request.finish(reason, &format!("{what}: no attempt succeeded before {limit}.{why}")))
}

/// Waits for another request for the same connector. The message names the one that was ahead when the wait began. It is
/// not updated as the queue moves, so that a queue of n requests costs n writes.
pub(super) fn queue<'a, O: Operation>(request: StatusBuilder<'a, O>, observed: &Observed) -> Flow<'a, O> {
    let Some(ahead) = &observed.ahead else { return Continue(request) };
    if request.says(Reason::Queued, QUEUED) {
        return Break(request.stay(None));
    }
    Break(request.wait(Reason::Queued, &format!("{QUEUED}{ahead}{QUEUED_END}"), None))
}

/// Waits while the circuit breaker holds calls back. A request that waits for a reason of its own keeps that reason, unless
/// a person must log in. A read that has just failed is such a reason, and may have opened the breaker.
pub(super) fn circuit_breaker<'a, O: Operation>(
    request: StatusBuilder<'a, O>,
    observed: &Observed,
) -> Flow<'a, O> {
    if !observed.on_hold || has_failed(observed) {
        return Continue(request);
    }
    Break(hold_back(request, observed))
}

/// Puts the request on hold, and says why.
pub(super) fn hold_back<O: Operation>(request: StatusBuilder<'_, O>, observed: &Observed) -> Step<O::Result> {
    match (&observed.login_required, request.status.reason) {
        (Some(message), _) => request.hold_with(Reason::LoginRequired, message),
        (None, Some(Reason::Retrying | Reason::Verifying | Reason::TokenRejected)) => request.hold(),
        (None, _) => request.hold_with(Reason::OnHold, ON_HOLD),
    }
}

pub(super) fn has_failed(observed: &Observed) -> bool {
    let failure = observed.reading.as_ref().and_then(|reading| reading.as_ref().err());
    failure.is_some_and(|failure| {
        !matches!(classify_read(failure, observed.refusal_confirmed), Class::Terminal(_))
    })
}

/// Waits until the time that the last failure set.
pub(super) fn backoff<'a, O: Operation>(mut request: StatusBuilder<'a, O>, _: &Observed) -> Flow<'a, O> {
    match request.not_due() {
        None => {
            request.operation().end_wait();
            Continue(request)
        }
        Some(at) => {
            let why = request.last_error_text();
            Break(request.wait(Reason::Retrying, &wait_message(Reason::Retrying, &why), Some(at)))
        }
    }
}

/// Reads the connector and lets the kind check it, for kinds that read first.
pub(super) fn preflight<'a, O: Operation>(
    mut request: StatusBuilder<'a, O>,
    observed: &Observed,
) -> Flow<'a, O> {
    if !O::READS_FIRST {
        return Continue(request);
    }
    let preflight = match &observed.reading {
        None => return Break(Step::Read),
        Some(Ok(connector)) => request.object.preflight(&mut request.status, connector),
        Some(Err(failure)) => match classify_read(failure, observed.refusal_confirmed) {
            Class::Transient(_) => return Break(request.wait_out(failure, Reason::Retrying)),
            Class::TokenRejected if observed.token_changed => return Break(Step::Read),
            Class::TokenRejected => return Break(request.wait_out(failure, Reason::TokenRejected)),
            Class::Terminal(Reason::AccessDenied | Reason::NotFound) => {
                request.object.preflight_unreadable(&mut request.status)
            }
            Class::Terminal(reason) => {
                request.note(failure, Some(reason));
                let message = sentence(&request.last_error_text());
                return Break(request.finish(reason, &message));
            }
        },
    };
    match preflight {
        Preflight::Ready => Continue(request),
        Preflight::Stop(reason, why) => {
            Break(request.finish(reason, &format!("The call was not made: {why}.")))
        }
        Preflight::Incomplete(what) => Break(request.wait_out(&incomplete(&what), Reason::Retrying)),
    }
}

/// The transient failure of a read that lacks a field.
pub(super) fn incomplete(what: &str) -> Failure {
    Failure {
        kind: FailureKind::Unreadable { code: 200 },
        message: format!("the connector was read, but {what}"),
        retry_at: None,
    }
}
