//! Verifies an attempt whose effect is unknown: compares a read of the connector with the one before the attempt.
//!
//! This rule also holds while the object is suspended, being deleted or past a limit, because it only reads.

use std::ops::ControlFlow::{Break, Continue};

use crate::api::{CONFIRM_ANNOTATION, Evidence, RETRY_ANNOTATION, Reason};
use crate::cde::model::{Connector, Failure};
use crate::text::clean;

use super::classify::{Class, classify_read};
use super::messages::{sentence, wait_message};
use super::rules::{Flow, hold_back, incomplete};
use super::status_builder::{ERROR_MESSAGE, StatusBuilder};
use super::{Comparison, Observed, Operation, Step};

pub(super) fn verify<'a, O: Operation>(request: StatusBuilder<'a, O>, observed: &Observed) -> Flow<'a, O> {
    if let Some(at) = request.not_due() {
        return Break(request.stay(Some(at)));
    }
    match &observed.reading {
        None if observed.on_hold => Break(hold_back(request, observed)),
        None => Break(Step::Read),
        Some(reading) => verify_by(request, reading, observed.token_changed, observed.refusal_confirmed),
    }
}

/// Verifies by a read that was just made.
pub(super) fn verify_by<'a, O: Operation>(
    mut request: StatusBuilder<'a, O>,
    reading: &Result<Connector, Failure>,
    token_changed: bool,
    refusal_confirmed: bool,
) -> Flow<'a, O> {
    let connector = match reading {
        Ok(connector) => connector,
        Err(failure) => return unreadable(request, failure, token_changed, refusal_confirmed),
    };
    let comparison = request.object.compare(&request.status.result, connector);
    if !matches!(comparison, Comparison::Incomplete(_)) {
        request.object.note_reading(&mut request.status, connector);
    }
    judge(request, comparison)
}

fn unreadable<'a, O: Operation>(
    request: StatusBuilder<'a, O>,
    failure: &Failure,
    token_changed: bool,
    refusal_confirmed: bool,
) -> Flow<'a, O> {
    match classify_read(failure, refusal_confirmed) {
        Class::Transient(_) => Break(keep_verifying(request, failure, Reason::Verifying)),
        Class::TokenRejected if token_changed => Break(Step::Read),
        Class::TokenRejected => Break(keep_verifying(request, failure, Reason::TokenRejected)),
        // The call succeeded, its body was lost, and reading is refused: the success counts.
        Class::Terminal(_) if was_accepted(&request) => {
            Break(request.succeed(O::SUCCESS, Evidence::Response))
        }
        Class::Terminal(_) if request.unknown_attempts() == 0 => Break(confirm_refusal(request)),
        Class::Terminal(_) => match request.object.compare_unreadable() {
            Comparison::Unchanged if is_last_read(&request) => {
                Break(give_up(request, "reading the connector is refused"))
            }
            comparison => judge(request, comparison),
        },
    }
}

/// Whether no attempt follows that could find out what this read leaves open.
fn is_last_read<O: Operation>(request: &StatusBuilder<'_, O>) -> bool {
    request.refusal().is_some()
        || request.past_limit().is_some()
        || request.object.metadata().deletion_timestamp.is_some()
}

/// Whether the last response was a 2xx that could not be read.
fn was_accepted<O: Operation>(request: &StatusBuilder<'_, O>) -> bool {
    request.last_error().and_then(|error| error.code).is_some_and(|code| (200..300).contains(&code))
}

fn judge<O: Operation>(mut request: StatusBuilder<'_, O>, comparison: Comparison) -> Flow<'_, O> {
    let refused = request.refusal().is_some();
    match comparison {
        Comparison::Effect(evidence) => {
            let reason = if request.unknown_attempts() == 0 { O::NOOP } else { O::SUCCESS };
            Break(request.succeed(reason, evidence))
        }
        Comparison::Incomplete(what) => Break(keep_verifying(request, &incomplete(&what), Reason::Verifying)),
        Comparison::Moving(what) if is_last_read(&request) => Break(give_up(request, &what)),
        Comparison::Moving(what) => {
            let at = request.postpone(None);
            Break(request.wait(Reason::Verifying, &wait_message(Reason::Verifying, &what), Some(at)))
        }
        Comparison::Unchanged if refused && request.unknown_attempts() > 0 => {
            Break(give_up(request, "a later attempt was refused, and the connector shows no effect"))
        }
        Comparison::Unchanged if refused => Break(contradict_refusal(request)),
        Comparison::Unchanged => {
            request.operation().end_wait();
            Continue(request)
        }
        Comparison::Ambiguous(what) => Break(give_up(request, &what)),
    }
}

/// Waits after a failed read as after a failed call. Past a limit, the refusal to verify counts instead.
fn keep_verifying<O: Operation>(
    request: StatusBuilder<'_, O>,
    failure: &Failure,
    reason: Reason,
) -> Step<O::Result> {
    if request.unknown_attempts() == 0 && request.past_limit().is_some() {
        return confirm_refusal(request);
    }
    request.wait_out(failure, reason)
}

fn confirm_refusal<O: Operation>(request: StatusBuilder<'_, O>) -> Step<O::Result> {
    let reason = request.refusal().unwrap_or(Reason::NotFound);
    let message = sentence(&request.last_error_text());
    request.finish(reason, &message)
}

/// Treats a refusal as transient, because a read shows that the operation is possible.
fn contradict_refusal<O: Operation>(mut request: StatusBuilder<'_, O>) -> Step<O::Result> {
    if let Some(error) = &mut request.operation().last_error {
        error.reason = None;
        error.message =
            clean(&format!("{} (but a read shows that it is possible)", error.message), ERROR_MESSAGE);
    }
    let at = request.postpone(None);
    let why = request.last_error_text();
    request.wait(Reason::Retrying, &wait_message(Reason::Retrying, &why), Some(at))
}

/// Ends the request as `OutcomeUnknown`.
fn give_up<O: Operation>(mut request: StatusBuilder<'_, O>, why: &str) -> Step<O::Result> {
    if let Some(error) = &mut request.operation().last_error {
        error.reason = None;
    }
    let message = format!(
        "The operator cannot tell whether an attempt had an effect: {why}. Check the connector in the CDE, then confirm \
         the outcome with the annotation {CONFIRM_ANNOTATION} or try again with {RETRY_ANNOTATION}."
    );
    request.finish(Reason::OutcomeUnknown, &message)
}
