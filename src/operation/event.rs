//! Events: at most one per outcome, and one for the first wait of a request.

use crate::api::{Evidence, Outcome, Reason, Status};

use super::messages::answer_text;

/// The reason of the Event for a success whose response lacked fields.
const INCOMPLETE: &str = "IncompleteResponse";

/// An Event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The type: `Warning` rather than `Normal`.
    pub warning: bool,
    /// In CamelCase: a [`Reason`] or the subject of the warning.
    pub reason: &'static str,
    /// In CamelCase; `None` for the action of the operation itself.
    pub action: Option<&'static str>,
    /// The message: a sentence or more.
    pub note: String,
}

/// Returns the Event for a status that changed from `before` to `after`, if there is one. The Event of a success with
/// `missing_fields` (missing or of another type) is a warning.
#[must_use]
pub fn event_for<R>(
    before: Option<&Status<R>>,
    after: &Status<R>,
    missing_fields: &[String],
) -> Option<Announcement> {
    let reason = after.reason?;
    let finished_before = before.is_some_and(|status| status.outcome.is_some());
    let announced = match after.outcome {
        Some(outcome) => {
            let same_request = before.and_then(operation_id) == operation_id(after);
            finished_before && same_request && before.and_then(|before| before.outcome) == Some(outcome)
        }
        None => !starts_to_wait(before, after, reason),
    };
    if announced {
        return None;
    }
    let ready = after.conditions.iter().find(|condition| condition.type_ == "Ready");
    let mut note = ready.map(|condition| condition.message.clone()).unwrap_or_default();
    if !missing_fields.is_empty() {
        note = format!(
            "{note} These fields of the response are missing or of another type: {}.",
            missing_fields.join(", ")
        );
    }
    let warning = match after.outcome {
        Some(Outcome::Succeeded) => !missing_fields.is_empty(),
        Some(_) => true,
        None => !matches!(reason, Reason::Queued | Reason::OnHold | Reason::Suspended),
    };
    let incomplete = after.outcome == Some(Outcome::Succeeded) && !missing_fields.is_empty();
    let reason = if incomplete { INCOMPLETE } else { reason.as_str() };
    Some(Announcement { warning, reason, action: action(after), note })
}

/// Returns the Event for an object that was deleted during its call, whose record is `after`: the outcome, or that the
/// outcome is unknown and will not be verified.
#[must_use]
pub fn event_for_deleted<R>(
    before: Option<&Status<R>>,
    after: &Status<R>,
    missing_fields: &[String],
) -> Option<Announcement> {
    if after.outcome.is_some() {
        return event_for(before, after, missing_fields);
    }
    let operation = after.operation.as_ref().filter(|operation| operation.unknown_attempts > 0)?;
    let error = operation.last_error.as_ref()?;
    let note = format!(
        "The object was deleted while its call was in progress, so the operator cannot verify whether the call had an \
         effect: {}. Check the connector in the CDE.",
        answer_text(error.code, &error.message)
    );
    let reason = Reason::OutcomeUnknown.as_str();
    Some(Announcement { warning: true, reason, action: action(after), note })
}

/// The action, if it was not the operation itself.
fn action<R>(after: &Status<R>) -> Option<&'static str> {
    let evidence = after.operation.as_ref().and_then(|operation| operation.evidence);
    match (after.reason, evidence) {
        (Some(Reason::Skipped), _) => Some("Skip"),
        (Some(Reason::OutcomeUnknown | Reason::Verifying | Reason::ConfirmedFailed), _)
        | (_, Some(Evidence::ObservedChange | Evidence::ObservedLive | Evidence::Confirmed)) => {
            Some("Verify")
        }
        _ => None,
    }
}

fn operation_id<R>(status: &Status<R>) -> Option<&str> {
    status.operation.as_ref().map(|operation| operation.id.as_str())
}

/// Whether this is the first wait of a request.
fn starts_to_wait<R>(before: Option<&Status<R>>, after: &Status<R>, reason: Reason) -> bool {
    let same = before.filter(|status| operation_id(status) == operation_id(after));
    reason != Reason::InProgress && !same.is_some_and(has_waited)
}

/// Whether the request waits, or has waited before: it was claimed again, or later than it started.
fn has_waited<R>(status: &Status<R>) -> bool {
    let Some(operation) = &status.operation else { return false };
    let waits = !matches!(status.reason, None | Some(Reason::InProgress));
    waits
        || operation.backoff_step > 0
        || operation.attempts > 1
        || operation.last_attempt_time != operation.start_time
}
