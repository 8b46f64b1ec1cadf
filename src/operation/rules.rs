//! The rules of [`decide`](super::decide), one function each; their order is that of its table.

use jiff::SignedDuration;

use crate::api::{Outcome, Reason};
use crate::cde::model::{Failure, FailureKind};

use super::case::Case;
use super::classify::{Class, classify_read};
use super::times::signed;
use super::words::{sentence, show, wait_message};
use super::{Observed, Operation, Prepared, Step};

/// What a rule says: the case for the next rule, or the step that ends the decision.
pub(super) type Ruled<'a, O> = Result<Case<'a, O>, Step<<O as Operation>::Result>>;

/// An object created this much later than its own `notAfter` is history replayed.
const HISTORY: SignedDuration = SignedDuration::from_hours(24);

/// A claim that says it is longer is absurd.
const LONGEST_CLAIM: SignedDuration = SignedDuration::from_hours(1);

/// What all objects say that wait because no call goes out: one text, whatever the cause, so that an outage
/// costs each of them one write at most.
const CALLS_HELD: &str =
    "Waiting until the CDE API takes calls: it is down, limits them or refuses the token.";

/// A finished request is left alone; a failed one only says that it has seen the newest spec.
pub(super) fn finished<'a, O: Operation>(mut case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    if case.unrecorded && case.status.outcome.is_some() {
        return Err(Step::Write(Box::new(case.status)));
    }
    match case.status.outcome {
        None => return Ok(case),
        Some(Outcome::Succeeded | Outcome::Skipped) => return Err(Step::Rest),
        Some(_) if case.status.observed_generation == case.object.metadata().generation => {
            return Err(Step::Rest);
        }
        Some(_) => case.observe(),
    }
    Err(Step::Write(Box::new(case.status)))
}

/// A claimed request stays with the server that it was claimed for.
pub(super) fn another_server<'a, O: Operation>(case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    let server = case.status.operation.as_ref().and_then(|operation| operation.server.clone());
    match server {
        Some(server) if server != case.settings.server => Err(Step::NotOurs { server }),
        _ => Ok(case),
    }
}

/// A claim that stands is waited out by our own clock; then nobody knows what became of its call.
pub(super) fn claimed<'a, O: Operation>(mut case: Case<'a, O>, observed: &Observed) -> Ruled<'a, O> {
    let own = case.settings.claim_length();
    let operation = case.operation();
    let Some(claim) = operation.in_flight.take() else { return Ok(case) };
    let length = operation
        .last_attempt_at
        .as_ref()
        .map(|at| claim.until.0.duration_since(at.0))
        .filter(|length| length.is_positive() && *length <= LONGEST_CLAIM)
        .unwrap_or(own);
    let left = length.saturating_sub(signed(observed.seen_for));
    if left.is_positive() {
        return Err(Step::Wait(Some(left.unsigned_abs())));
    }
    operation.unknown_attempts = operation.unknown_attempts.saturating_add(1);
    let lost = Failure {
        kind: FailureKind::NoAnswer,
        message: "whoever made the last call did not record its outcome".to_owned(),
        retry_at: None,
    };
    case.note(&lost, None);
    case.say(Reason::Verifying, &wait_message(Reason::Verifying, &lost.message));
    Ok(case)
}

/// No attempt for an object that goes.
pub(super) fn being_deleted<'a, O: Operation>(case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    match (case.being_deleted(), case.unrecorded) {
        (false, _) => Ok(case),
        (true, true) => Err(case.stay(None)),
        (true, false) => Err(Step::Rest),
    }
}

/// An object that is older than its own creation: a rebuilt cluster applies what was done long ago.
pub(super) fn history<'a, O: Operation>(case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    let created = case.object.metadata().creation_timestamp.as_ref().map(|time| time.0);
    match (case.object.wish().not_after, created) {
        (Some(not_after), Some(created))
            if case.attempts() == 0 && created.duration_since(not_after) > HISTORY =>
        {
            let message = format!(
                "Nothing was called: this object was created at {}, more than a day after its own notAfter {}.",
                show(created),
                show(not_after)
            );
            Err(case.finish(Reason::Skipped, &message))
        }
        _ => Ok(case),
    }
}

/// No attempt begins past a limit.
pub(super) fn limits<'a, O: Operation>(case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    let Some(reason) = case.past_limit() else { return Ok(case) };
    let what = match reason {
        Reason::Expired => "spec.notAfter has passed",
        _ => "the deadline of the request has passed",
    };
    let why = case.last_error().map(|error| format!("; last error: {}", error.message)).unwrap_or_default();
    Err(case.finish(reason, &format!("No attempt succeeded in time: {what}{why}")))
}

/// Suspended: nothing begins.
pub(super) fn suspended<'a, O: Operation>(case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    if !case.object.wish().suspend {
        return Ok(case);
    }
    Err(case.wait(Reason::Suspended, "spec.suspend is set: no attempt begins before it is removed.", None))
}

/// Another request for the same connector goes first.
pub(super) fn turn<'a, O: Operation>(case: Case<'a, O>, observed: &Observed) -> Ruled<'a, O> {
    match &observed.waits_for {
        Some(other) => {
            let message = format!("Waiting for {other}, which is for the same connector.");
            Err(case.wait(Reason::Pending, &message, None))
        }
        None => Ok(case),
    }
}

/// No call goes out at present. Who waits already for a reason of its own keeps saying so; a read that has just
/// failed is such a reason, and may be what closed the way.
pub(super) fn calls_held<'a, O: Operation>(case: Case<'a, O>, observed: &Observed) -> Ruled<'a, O> {
    let failure = observed.reading.as_ref().and_then(|reading| reading.as_ref().err());
    let has_failed = failure.is_some_and(|failure| !matches!(classify_read(failure), Class::Terminal(_)));
    if !observed.calls_held || has_failed {
        return Ok(case);
    }
    match case.status.reason {
        Some(Reason::Retrying | Reason::Verifying | Reason::Unauthorized) => Err(case.stay(None)),
        _ => Err(case.wait(Reason::Pending, CALLS_HELD, None)),
    }
}

/// Not before the time that the last failure set.
pub(super) fn backoff<'a, O: Operation>(mut case: Case<'a, O>, _: &Observed) -> Ruled<'a, O> {
    match case.not_due() {
        None => {
            case.operation().next_attempt_at = None;
            Ok(case)
        }
        Some(at) => {
            let why = case.last_error_text();
            Err(case.wait(Reason::Retrying, &wait_message(Reason::Retrying, &why), Some(at)))
        }
    }
}

/// Reads the connector, for kinds that do so first, and lets the kind judge what it sees.
pub(super) fn survey<'a, O: Operation>(mut case: Case<'a, O>, observed: &Observed) -> Ruled<'a, O> {
    if !O::READS_FIRST {
        return Ok(case);
    }
    let prepared = match &observed.reading {
        None => return Err(Step::Read),
        Some(Ok(connector)) => case.object.prepare(&mut case.status, connector),
        Some(Err(failure)) => match classify_read(failure) {
            Class::Transient(_) => return Err(case.wait_out(failure, Reason::Retrying)),
            Class::Unauthorized if observed.token_changed => return Err(Step::Read),
            Class::Unauthorized => return Err(case.wait_out(failure, Reason::Unauthorized)),
            Class::Terminal(Reason::AccessDenied | Reason::NotFound) => {
                case.object.prepare_unseen(&mut case.status)
            }
            Class::Terminal(reason) => {
                case.note(failure, Some(reason));
                let message = sentence(&case.last_error_text());
                return Err(case.finish(reason, &message));
            }
        },
    };
    match prepared {
        Prepared::Ready => Ok(case),
        Prepared::Stop(reason, message) => Err(case.finish(reason, &message)),
        Prepared::Incomplete(what) => {
            let failure = incomplete(&what);
            Err(case.wait_out(&failure, Reason::Retrying))
        }
    }
}

/// A read that lacks what it was made for, as a failure that passes.
pub(super) fn incomplete(what: &str) -> Failure {
    Failure {
        kind: FailureKind::Unreadable { code: 200 },
        message: format!("the connector was read, but {what}"),
        retry_at: None,
    }
}
