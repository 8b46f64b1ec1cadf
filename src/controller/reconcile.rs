//! One object, one pass: the table of contents of the machine.

use std::sync::Arc;

use kube::runtime::controller::Action;
use tracing::{Instrument, Span};

use crate::api::Status;
use crate::cde::model::CallId;
use crate::operation::Step;

use super::Managed;
use super::context::Context;
use super::packed::Packed;
use super::pass::{Interrupted, Pass};

/// Takes one object as far as it goes now: decides, and does what was decided, until there is nothing to do but
/// to wait.
///
/// # Errors
/// [`Interrupted`] when the API server could not be reached or does not keep what is written; the object is
/// looked at again soon, from the start.
pub(super) async fn reconcile<O: Managed>(
    object: Arc<Packed<O>>,
    context: Arc<Context<O>>,
) -> Result<Action, Interrupted> {
    let Some(mut pass) = Pass::begin(&object, &context).await else {
        return Ok(Action::await_change());
    };
    loop {
        match pass.decide() {
            Step::Rest => return Ok(pass.wait(None)),
            Step::NotOurs { server } => return Ok(pass.leave_to(&server)),
            Step::Wait(time) => return Ok(pass.wait(time)),
            Step::Read => {
                let id = pass.next_call();
                pass.observe(&id).instrument(span(&id)).await?;
            }
            Step::Write(status) => {
                let id = call_id(&status);
                pass.record(*status).instrument(span(&id)).await?;
            }
            Step::Claim(status) => {
                let id = call_id(&status);
                if let Some(claimed) = pass.claim(*status).instrument(span(&id)).await? {
                    let acted = pass.act(claimed, &id).instrument(span(&id)).await;
                    pass.conclude(acted);
                }
            }
        }
    }
}

/// The request and the attempt that `status` tells of.
pub(super) fn call_id<R>(status: &Status<R>) -> CallId {
    let operation = status.operation.as_ref();
    CallId {
        operation: operation.map(|operation| operation.id.clone()).unwrap_or_default(),
        attempt: operation.map(|operation| operation.attempts).unwrap_or_default(),
    }
}

/// The span of one step: operation and attempt stand in each of its lines.
fn span(CallId { operation, attempt }: &CallId) -> Span {
    tracing::info_span!("step", operation, attempt)
}
