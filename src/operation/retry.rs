//! Opens a request: the first one of an object, or another one for a retry annotation.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use uuid::Uuid;

use crate::api::{OperationRecord, RETRY_ANNOTATION};

use super::status_builder::StatusBuilder;
use super::{Operation, annotation, whole_seconds};

/// Retry annotations further ahead of the operator's clock are ignored, because a fast clock must not disable later ones.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// Why a retry annotation is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRetry {
    /// It is not an RFC 3339 time.
    Unreadable,
    /// It is more than five minutes ahead of the operator's clock.
    Ahead,
}

/// Returns the value of an invalid retry annotation, and why it is invalid.
#[must_use]
pub fn invalid_retry<O: Operation>(object: &O, now: Timestamp) -> Option<(&str, InvalidRetry)> {
    let value = annotation(object, RETRY_ANNOTATION)?;
    match value.parse() {
        Err(_) => Some((value, InvalidRetry::Unreadable)),
        Ok(asked) if is_ahead(asked, now) => Some((value, InvalidRetry::Ahead)),
        Ok(_) => None,
    }
}

fn is_ahead(asked: Timestamp, now: Timestamp) -> bool {
    asked.duration_since(now) > MAX_AHEAD
}

impl<O: Operation> StatusBuilder<'_, O> {
    /// Handles the retry annotation, and opens a request if there is none.
    pub(super) fn open_request(&mut self) {
        if self.status.outcome.is_some_and(crate::api::Outcome::is_final) {
            return;
        }
        let asked = self.asked();
        if let Some(asked) = asked {
            self.status.last_handled_retry = Some(Time(asked));
            self.cut_wait_short();
        }
        match (self.status.outcome, asked) {
            (Some(_), Some(_)) => self.begin(request_id(self.object, asked)),
            (None, _) if self.status.operation.is_none() => self.begin(request_id(self.object, None)),
            _ => {}
        }
    }

    /// Returns the retry time, if it is valid and was not handled before.
    fn asked(&self) -> Option<Timestamp> {
        let asked = annotation(self.object, RETRY_ANNOTATION)?
            .parse()
            .ok()
            .filter(|asked| !is_ahead(*asked, self.now))?;
        let asked = whole_seconds(asked);
        let handled = self.status.last_handled_retry.as_ref();
        Some(asked).filter(|asked| handled.is_none_or(|handled| *asked > handled.0))
    }

    fn begin(&mut self, id: String) {
        self.status.outcome = None;
        self.status.reason = None;
        self.status.state = None;
        self.status.result = O::Result::default();
        self.status.operation =
            Some(OperationRecord { id, start_time: Some(self.stamp()), ..OperationRecord::default() });
    }
}

/// Returns the UUID of a request. It depends only on the object, so two operators that start the same request at the
/// same time send the same `Idempotency-Key`.
pub(super) fn request_id<O: Operation>(object: &O, reopened_at: Option<Timestamp>) -> String {
    let uid = object.metadata().uid.as_deref().unwrap_or_default();
    let name = reopened_at.map_or_else(|| uid.to_owned(), |at| format!("{uid} {at}"));
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
