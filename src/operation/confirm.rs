//! The confirm annotation: a person records the outcome of a request whose outcome is unknown.

use crate::api::{CONFIRM_ANNOTATION, Evidence, Outcome, Reason};

use super::messages::show;
use super::status_builder::StatusBuilder;
use super::{Operation, Step, annotation};

/// Why a confirm annotation is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidConfirm {
    /// It is not `OPERATION_ID:Succeeded` or `OPERATION_ID:Failed`.
    Unreadable,
    /// It names another request than the present one.
    OtherRequest,
    /// The outcome of the request is not unknown.
    NotUnknown,
}

/// Returns the outcome to record, or why the annotation is ignored. `None` if there is no annotation, or if it has been
/// recorded.
pub(super) fn confirmed<O: Operation>(object: &O) -> Option<Result<Outcome, InvalidConfirm>> {
    let value = annotation(object, CONFIRM_ANNOTATION)?;
    let Some((id, outcome)) = parse(value) else { return Some(Err(InvalidConfirm::Unreadable)) };
    let status = object.status();
    let operation = status.and_then(|status| status.operation.as_ref());
    if operation.is_none_or(|operation| operation.id != id) {
        return Some(Err(InvalidConfirm::OtherRequest));
    }
    match status.and_then(|status| status.outcome) {
        Some(Outcome::Unknown) => Some(Ok(outcome)),
        _ if status.and_then(|status| status.reason) == Some(Reason::ConfirmedFailed) => None,
        _ if operation.is_some_and(|operation| operation.evidence == Some(Evidence::Confirmed)) => None,
        _ => Some(Err(InvalidConfirm::NotUnknown)),
    }
}

/// Returns the value of an invalid confirm annotation, and why it is invalid.
#[must_use]
pub fn invalid_confirm<O: Operation>(object: &O) -> Option<(&str, InvalidConfirm)> {
    annotation(object, CONFIRM_ANNOTATION).zip(confirmed(object)?.err())
}

fn parse(value: &str) -> Option<(&str, Outcome)> {
    let (id, word) = value.trim().rsplit_once(':')?;
    let outcomes = [Outcome::Succeeded, Outcome::Failed];
    outcomes.into_iter().find(|outcome| outcome.as_str() == word).map(|outcome| (id, outcome))
}

impl<O: Operation> StatusBuilder<'_, O> {
    pub(super) fn confirm(mut self, outcome: Outcome) -> Step<O::Result> {
        let when = show(self.stamp().0);
        if outcome == Outcome::Succeeded {
            self.operation().evidence = Some(Evidence::Confirmed);
            return self.finish(O::SUCCESS, &format!("Confirmed by annotation at {when}."));
        }
        let message = format!("Confirmed by annotation at {when}: the request had no effect.");
        self.finish(Reason::ConfirmedFailed, &message)
    }
}
