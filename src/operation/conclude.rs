//! What an answer makes of a claim: the outcome, as a status to be recorded.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Evidence, Reason, Status};
use crate::cde::model::{Data, Failure};

use super::case::Case;
use super::classify::{Class, Effect, classify};
use super::words::{sentence, wait_message};
use super::{Operation, Settings};

/// A call that was made, and what came of it.
#[derive(Debug)]
pub struct Conclusion<'a, O: Operation> {
    /// The object, with the claim stored in its status.
    pub object: &'a O,
    /// The answer.
    pub answer: Result<&'a Data, &'a Failure>,
    /// The token of a refused call has been replaced since.
    pub token_changed: bool,
    /// What is left of the claim, by the monotonic clock: so long the server may still be at work on a call that
    /// it did not answer, also if the wall clock was set meanwhile.
    pub claim_left: Duration,
    /// The wall clock.
    pub now: Timestamp,
    /// The configuration.
    pub settings: &'a Settings,
    /// Uniformly random in 0..1: the jitter of a backoff.
    pub jitter: f64,
}

/// The status that records the outcome; [`decide`](super::decide()) says whether a read comes first.
#[must_use]
pub fn conclude<O: Operation>(conclusion: &Conclusion<'_, O>) -> Status<O::Result> {
    let mut case = Case::claimed(conclusion.object, conclusion.now, conclusion.settings, conclusion.jitter);
    case.operation().in_flight = None;
    match conclusion.answer {
        Ok(data) => {
            case.object.take_answer(&mut case.status, data);
            case.end_well(O::SUCCESS, Evidence::Response);
        }
        Err(failure) => match classify(failure) {
            Class::Transient(Effect::None) => {
                case.note(failure, None);
                case.postpone_for(failure, Reason::Retrying);
            }
            Class::Transient(Effect::Unknown { raced }) => {
                case.note(failure, None);
                let operation = case.operation();
                operation.unknown_attempts = operation.unknown_attempts.saturating_add(1);
                case.postpone_for(failure, Reason::Verifying);
                if raced {
                    case.postpone_for_at_least(conclusion.claim_left);
                }
            }
            Class::Unauthorized if conclusion.token_changed => {
                case.note(failure, None);
                case.say(Reason::Retrying, "The CDE API refused the token, which has been replaced since.");
            }
            Class::Unauthorized => {
                case.note(failure, None);
                case.postpone_for(failure, Reason::Unauthorized);
            }
            Class::Terminal(reason) => refused(&mut case, failure, reason),
        },
    }
    case.status
}

/// A terminal answer ends the request, unless an earlier attempt, or the answer itself, leaves a doubt.
fn refused<O: Operation>(case: &mut Case<'_, O>, failure: &Failure, reason: Reason) {
    let doubtful = case.unknown_attempts() > 0 || case.object.doubts(reason);
    case.note(failure, Some(reason));
    let why = case.last_error_text();
    if doubtful {
        case.say(Reason::Verifying, &wait_message(Reason::Verifying, &why));
    } else {
        case.end(reason, &sentence(&why));
    }
}

/// The status that gives a claim back of which this process knows that it sent nothing.
#[must_use]
pub fn give_back<O: Operation>(object: &O, now: Timestamp, settings: &Settings) -> Status<O::Result> {
    let mut case = Case::claimed(object, now, settings, 0.0);
    case.operation().in_flight = None;
    let unknown = case.unknown_attempts() > 0;
    let reason = if unknown { Reason::Verifying } else { Reason::Pending };
    case.say(
        reason,
        "The call was not made: calls were paused, it was too late for it, or the operator stops.",
    );
    case.status
}

/// `outcome` for an object whose stored status has changed since the claim to `stored`: what others counted stays
/// counted, so that the API server takes it.
#[must_use]
pub fn onto<R: Clone>(outcome: &Status<R>, stored: Option<&Status<R>>) -> Status<R> {
    let mut outcome = outcome.clone();
    let Some(stored) = stored else { return outcome };
    if let (Some(ours), Some(theirs)) = (&mut outcome.operation, &stored.operation) {
        ours.attempts = ours.attempts.max(theirs.attempts);
        ours.last_attempt_at = theirs.last_attempt_at.clone().or(ours.last_attempt_at.take());
    }
    outcome.last_handled_retry = stored.last_handled_retry.clone().or(outcome.last_handled_retry);
    outcome
}

/// `status` without what the CDE said, for an API server that refuses it.
#[must_use]
pub fn without_data<R: Clone + Default>(status: &Status<R>) -> Status<R> {
    Status { state: None, result: R::default(), ..status.clone() }
}
