//! The request that is open: the object's first one, or one that a person asked for by the retry annotation.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use uuid::Uuid;

use crate::api::{OperationRecord, RETRY_ANNOTATION};

use super::case::Case;
use super::{Operation, whole_seconds};

/// The value of the retry annotation, where it is no RFC 3339 time and so asks for nothing: worth a warning.
#[must_use]
pub fn unreadable_retry<O: Operation>(object: &O) -> Option<&str> {
    annotation(object).filter(|value| value.parse::<Timestamp>().is_err())
}

fn annotation<O: Operation>(object: &O) -> Option<&str> {
    object.metadata().annotations.as_ref()?.get(RETRY_ANNOTATION).map(String::as_str)
}

impl<O: Operation> Case<'_, O> {
    /// Does what the retry annotation asks for, and opens the request where none is open.
    pub(super) fn open(&mut self) {
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

    /// What is asked for and was not handled before.
    fn asked(&self) -> Option<Timestamp> {
        let asked = whole_seconds(annotation(self.object)?.parse().ok()?);
        let handled = self.status.last_handled_retry.as_ref();
        Some(asked).filter(|asked| handled.is_none_or(|handled| *asked > handled.0))
    }

    fn begin(&mut self, id: String) {
        self.status.outcome = None;
        self.status.reason = None;
        self.status.state = None;
        self.status.result = O::Result::default();
        self.status.operation =
            Some(OperationRecord { id, started_at: Some(self.stamp()), ..OperationRecord::default() });
    }
}

/// One UUID a request, from facts that every operator sees alike: two that begin the same request at the same
/// time send the same `Idempotency-Key`.
pub(super) fn request_id<O: Operation>(object: &O, reopened_at: Option<Timestamp>) -> String {
    let uid = object.metadata().uid.as_deref().unwrap_or_default();
    let name = reopened_at.map_or_else(|| uid.to_owned(), |at| format!("{uid} {at}"));
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
