//! One object, one pass: the table of contents of the machine.

use std::sync::Arc;

use kube::runtime::controller::Action;

use crate::operation::Step;

use super::pass::{Interrupted, Pass};
use super::watch::Context;
use super::Managed;

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
            Step::Read => pass.observe().await?,
            Step::Write(status) => pass.record(*status).await?,
            Step::Claim(status) => {
                if let Some(claimed) = pass.claim(*status).await? {
                    let acted = pass.act(claimed).await;
                    pass.conclude(acted);
                }
            }
        }
    }
}
