//! Turns the response to a claimed call into the status that records it.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Evidence, Reason, Status};
use crate::cde::model::{Connector, Data, Failure, FailureKind};

use super::classify::{Class, Effect, classify};
use super::messages::{sentence, wait_message};
use super::status_builder::StatusBuilder;
use super::verify::verify_by;
use super::{Operation, Settings, Step};

/// The response to a claimed call.
#[derive(Debug)]
pub struct Response<'a, O: Operation> {
    /// The object, with the claim stored in its status.
    pub object: &'a O,
    /// The result of the call.
    pub result: Result<&'a Data, &'a Failure>,
    /// Earlier refusals confirm an undocumented refusal.
    pub refusal_confirmed: bool,
    /// A rejected token has been replaced since.
    pub token_changed: bool,
    /// What is left of the claim, by the monotonic clock: how long the server may still run an unanswered call.
    pub claim_left: Duration,
    /// The wall clock.
    pub now: Timestamp,
    /// The configuration.
    pub settings: &'a Settings,
    /// Uniformly random in 0..1: the jitter of a backoff.
    pub jitter: f64,
}

/// Returns the status that records the response. If a read must confirm it, [`confirm_by_read`] takes the result.
#[must_use]
pub fn apply_response<O: Operation>(response: &Response<'_, O>) -> Status<O::Result> {
    let mut request = StatusBuilder::of(response.object, response.now, response.settings, response.jitter);
    request.operation().in_flight = None;
    match response.result {
        Ok(data) => {
            request.object.note_response(&mut request.status, data);
            request.end_well(O::SUCCESS, Evidence::Response);
        }
        Err(failure) => apply_failure(&mut request, failure, response),
    }
    request.status
}

fn apply_failure<O: Operation>(
    request: &mut StatusBuilder<'_, O>,
    failure: &Failure,
    response: &Response<'_, O>,
) {
    match classify(failure, response.refusal_confirmed) {
        Class::Transient(Effect::None) => {
            request.note(failure, None);
            request.postpone_for(failure, Reason::Retrying);
        }
        Class::Transient(Effect::Unknown { server_may_still_run }) => {
            request.note(failure, None);
            let operation = request.operation();
            operation.unknown_attempts = operation.unknown_attempts.saturating_add(1);
            request.postpone_for(failure, Reason::Verifying);
            if server_may_still_run {
                request.postpone_for_at_least(response.claim_left);
            }
        }
        Class::TokenRejected if response.token_changed => {
            request.note(failure, None);
            let message = "The CDE API rejected the token, which has been replaced since.";
            request.say(Reason::Retrying, message);
        }
        Class::TokenRejected => {
            request.note(failure, None);
            request.postpone_for(failure, Reason::TokenRejected);
        }
        Class::Terminal(reason) => refuse(request, failure, reason),
    }
}

/// Ends the request with a terminal response, unless a read must verify it.
fn refuse<O: Operation>(request: &mut StatusBuilder<'_, O>, failure: &Failure, reason: Reason) {
    let must_verify = request.unknown_attempts() > 0 || request.object.must_verify(reason);
    request.note(failure, Some(reason));
    let why = request.last_error_text();
    if must_verify {
        request.say(Reason::Verifying, &wait_message(Reason::Verifying, &why));
    } else {
        request.end(reason, &sentence(&why));
    }
}

/// Returns the status after `reading` has confirmed or contradicted a refusal, or `None` if another read is needed.
/// `refused` is the result of [`apply_response`] for `response`.
#[must_use]
pub fn confirm_by_read<O: Operation>(
    response: &Response<'_, O>,
    refused: &Status<O::Result>,
    reading: &Result<Connector, Failure>,
    reading_confirmed: bool,
) -> Option<Status<O::Result>> {
    let mut request = StatusBuilder::of(response.object, response.now, response.settings, response.jitter);
    request.status = refused.clone();
    match verify_by(request, reading, false, reading_confirmed) {
        ControlFlow::Break(Step::Write(status)) => Some(*status),
        ControlFlow::Break(_) | ControlFlow::Continue(_) => None,
    }
}

/// Why a claim is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The API server stored it too late for a call. The next claim waits for a backoff.
    TooLate,
    /// The operator is stopping.
    Stopping,
}

/// Returns the status that releases a claim on which nothing was sent.
#[must_use]
pub fn release_claim<O: Operation>(
    object: &O,
    why: Release,
    now: Timestamp,
    settings: &Settings,
    jitter: f64,
) -> Status<O::Result> {
    let mut request = StatusBuilder::of(object, now, settings, jitter);
    request.operation().in_flight = None;
    let unverified = request.unknown_attempts() > 0;
    match why {
        Release::TooLate => {
            let reason = if unverified { Reason::Verifying } else { Reason::Retrying };
            let slow = Failure {
                kind: FailureKind::NotSent,
                message: "nothing was sent: the API server took too long to store the claim".to_owned(),
                retry_at: None,
            };
            if !unverified {
                request.note(&slow, None);
            }
            request.postpone_for(&slow, reason);
        }
        Release::Stopping => {
            let reason = if unverified { Reason::Verifying } else { Reason::OnHold };
            request.say(reason, "The call was not made: the operator stopped.");
        }
    }
    request.status
}
