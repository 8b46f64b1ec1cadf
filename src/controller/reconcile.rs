//! One object, one pass: the table of contents of the machine.

use std::sync::Arc;

use kube::runtime::controller::Action;
use tracing::Instrument;

use crate::operation::Step;

use super::Managed;
use super::pass::{Interrupted, Pass};
use super::watch::Context;

/// Takes one object as far as it goes now: decides, and does what was decided, until there is nothing to do but
/// to wait.
///
/// # Errors
/// [`Interrupted`] when the API server could not be reached or does not keep what is written; the object is
/// looked at again soon, from the start.
pub async fn reconcile<O: Managed>(object: Arc<O>, context: Arc<Context<O>>) -> Result<Action, Interrupted> {
    let Some(mut pass) = Pass::begin(object, &context).await else {
        return Ok(Action::await_change());
    };
    loop {
        match pass.decide() {
            Step::Rest => return Ok(pass.wait(None)),
            Step::NotOurs { server } => return Ok(pass.leave_to(&server)),
            Step::Wait(time) => return Ok(pass.wait(time)),
            Step::Read => {
                let span = pass.span();
                pass.observe().instrument(span).await?;
            }
            Step::Write(status) => {
                let span = pass.span();
                pass.record(*status).instrument(span).await?;
            }
            Step::Claim(status) => {
                let span = pass.span();
                if let Some(claimed) = pass.claim(*status).instrument(span).await? {
                    let span = pass.span();
                    let acted = pass.act(claimed).instrument(span).await;
                    pass.conclude(acted);
                }
            }
        }
    }
}
