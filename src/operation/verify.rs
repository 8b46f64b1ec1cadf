//! What a crash or a lost answer left behind is verified, never guessed: the connector is read, and what it
//! tells is compared with what was seen before.
//!
//! This rule also holds while the object is suspended, being deleted or past a limit, for it only reads.

use crate::api::{Evidence, RETRY_ANNOTATION, Reason};
use crate::cde::model::{Connector, Failure};
use crate::text::clean;

use super::case::{Case, ERROR_MESSAGE};
use super::classify::{Class, classify_read};
use super::rules::{Ruled, incomplete};
use super::words::{sentence, wait_message};
use super::{Comparison, Observed, Operation, Step};

/// Finds out whether an attempt had an effect, where that is open.
pub(super) fn verify<'a, O: Operation>(case: Case<'a, O>, observed: &Observed) -> Ruled<'a, O> {
    if case.unknown_attempts() == 0 && case.refusal().is_none() {
        return Ok(case);
    }
    if let Some(at) = case.not_due() {
        return Err(case.stay(Some(at)));
    }
    match &observed.reading {
        None if observed.calls_held => Err(case.stay(None)),
        None => Err(Step::Read),
        Some(Ok(connector)) => seen(case, connector),
        Some(Err(failure)) => unseen(case, failure, observed.token_changed),
    }
}

/// The connector could be read.
fn seen<'a, O: Operation>(mut case: Case<'a, O>, connector: &Connector) -> Ruled<'a, O> {
    let comparison = case.object.compare(&case.status.result, connector);
    if !matches!(comparison, Comparison::Incomplete(_)) {
        case.object.take_reading(&mut case.status, connector);
    }
    judge(case, comparison)
}

/// Reading failed, or is refused.
fn unseen<'a, O: Operation>(case: Case<'a, O>, failure: &Failure, token_changed: bool) -> Ruled<'a, O> {
    match classify_read(failure) {
        Class::Transient(_) => Err(linger(case, failure, Reason::Verifying)),
        Class::Unauthorized if token_changed => Err(Step::Read),
        Class::Unauthorized => Err(linger(case, failure, Reason::Unauthorized)),
        // The call was answered with a success whose words were lost, and nobody lets us look: believe it.
        Class::Terminal(_) if accepted(&case) => Err(case.succeed(O::SUCCESS, Evidence::Response)),
        Class::Terminal(_) if case.unknown_attempts() == 0 => Err(believe(case)),
        Class::Terminal(_) => match case.object.compare_unseen() {
            Comparison::Unchanged if is_last_look(&case) => {
                Err(give_up(case, "reading the connector is refused"))
            }
            comparison => judge(case, comparison),
        },
    }
}

/// No attempt follows that could tell: what this read leaves open stays open.
fn is_last_look<O: Operation>(case: &Case<'_, O>) -> bool {
    case.refusal().is_some() || case.past_limit().is_some() || case.being_deleted()
}

/// The last call was answered with a 2xx that could not be read.
fn accepted<O: Operation>(case: &Case<'_, O>) -> bool {
    case.last_error().and_then(|error| error.code).is_some_and(|code| (200..300).contains(&code))
}

fn judge<O: Operation>(mut case: Case<'_, O>, comparison: Comparison) -> Ruled<'_, O> {
    let refused = case.refusal().is_some();
    match comparison {
        Comparison::Effect(evidence) => {
            let reason = if case.unknown_attempts() == 0 { case.object.already() } else { O::SUCCESS };
            Err(case.succeed(reason, evidence))
        }
        Comparison::Incomplete(what) => Err(linger(case, &incomplete(&what), Reason::Verifying)),
        Comparison::Moving(what) if is_last_look(&case) => Err(give_up(case, &what)),
        Comparison::Moving(what) => {
            let at = case.postpone(None);
            Err(case.wait(Reason::Verifying, &wait_message(Reason::Verifying, &what), Some(at)))
        }
        // An earlier attempt may have had an effect, a later one was refused, and nothing is to be seen.
        Comparison::Unchanged if refused && case.unknown_attempts() > 0 => {
            Err(give_up(case, "a later attempt was refused, and the connector shows no effect"))
        }
        Comparison::Unchanged if refused => Err(contradiction(case)),
        Comparison::Unchanged => {
            case.operation().next_attempt_at = None;
            Ok(case)
        }
        Comparison::Ambiguous(what) => Err(give_up(case, &what)),
    }
}

/// A read that fails is waited for like a call, except that a refusal past the limit needs no more doubt.
fn linger<O: Operation>(case: Case<'_, O>, failure: &Failure, reason: Reason) -> Step<O::Result> {
    if case.unknown_attempts() == 0 && case.past_limit().is_some() {
        return believe(case);
    }
    case.wait_out(failure, reason)
}

/// The refusal that was doubted is what the API says, after all.
fn believe<O: Operation>(case: Case<'_, O>) -> Step<O::Result> {
    let reason = case.refusal().unwrap_or(Reason::NotFound);
    let message = sentence(&case.last_error_text());
    case.finish(reason, &message)
}

/// The API refuses what a read shows to be possible: that passes.
fn contradiction<O: Operation>(mut case: Case<'_, O>) -> Step<O::Result> {
    if let Some(error) = &mut case.operation().last_error {
        error.reason = None;
        error.message =
            clean(&format!("{} (but a read shows that it is possible)", error.message), ERROR_MESSAGE);
    }
    let at = case.postpone(None);
    let why = case.last_error_text();
    case.wait(Reason::Retrying, &wait_message(Reason::Retrying, &why), Some(at))
}

/// A person must look.
fn give_up<O: Operation>(mut case: Case<'_, O>, why: &str) -> Step<O::Result> {
    if let Some(error) = &mut case.operation().last_error {
        error.reason = None;
    }
    let message = format!(
        "Nobody can tell whether an attempt had an effect: {why}. Look at the connector in the CDE; to try again, \
         annotate with {RETRY_ANNOTATION}."
    );
    case.finish(Reason::OutcomeUnknown, &message)
}
