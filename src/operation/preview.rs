//! The preview: the operator reads the connector of a suspended request once, and the status says what would happen. The
//! read before a claim decides independently of it.

use std::ops::ControlFlow::{Break, Continue};

use crate::api::Reason;
use crate::cde::model::Failure;

use super::classify::{Class, classify_read};
use super::rules::{Flow, has_failed};
use super::status_builder::StatusBuilder;
use super::{Observed, Operation, Step};

/// The message before there is a preview.
const SUSPENDED: &str = "Suspended: no attempt begins before spec.suspend is removed.";

/// Begins no attempt while suspended. Reads once per generation, and again for a newer retry annotation.
pub(super) fn suspended<'a, O: Operation>(
    mut request: StatusBuilder<'a, O>,
    observed: &Observed,
) -> Flow<'a, O> {
    if !request.object.request_spec().suspend {
        return Continue(request);
    }
    if request.is_previewed() {
        return Break(request.stay(None));
    }
    let message = match &observed.reading {
        None if observed.on_hold => return Break(request.hold_with(Reason::Suspended, SUSPENDED)),
        None => return Break(Step::Read),
        Some(Ok(connector)) => request.object.preview(&mut request.status, connector),
        Some(Err(failure)) => refused(failure, observed),
    };
    match message {
        Some(message) => Break(request.wait(Reason::Suspended, &format!("Suspended. {message}"), None)),
        // The error is transient: read again after the longest backoff.
        None if has_failed(observed) && observed.on_hold => {
            Break(request.hold_with(Reason::Suspended, SUSPENDED))
        }
        None => {
            let again = request.look_again();
            Break(request.wait(Reason::Suspended, SUSPENDED, Some(again)))
        }
    }
}

/// Returns the message for a refused read; `None` for a transient error.
fn refused(failure: &Failure, observed: &Observed) -> Option<String> {
    match classify_read(failure, observed.refusal_confirmed) {
        Class::Terminal(Reason::AccessDenied) => {
            Some("The connector cannot be read: access denied.".to_owned())
        }
        Class::Terminal(Reason::NotFound) => {
            Some("The connector cannot be read: not found. It may be in the bin.".to_owned())
        }
        Class::Terminal(_) => Some(format!("The connector cannot be read: {}", failure.message)),
        Class::Transient(_) | Class::TokenRejected => None,
    }
}

impl<O: Operation> StatusBuilder<'_, O> {
    /// Whether the status has the preview of the present spec, and no retry annotation requests a newer one.
    fn is_previewed(&self) -> bool {
        let asked = self.status.last_handled_retry != self.stored_retry();
        let seen = self.status.observed_generation == self.object.metadata().generation;
        seen && !asked && self.says(Reason::Suspended, "Suspended. ")
    }
}
