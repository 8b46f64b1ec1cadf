//! The guards of an attempt: rate, circuit breaker and the connector's turn. They are taken before the read and held until
//! the call ends, so that no wait comes between read and call.

use super::circuit_breaker::Permit;
use super::connector_queue::Turn;
use super::context::Context;
use super::kind::Key;

pub(super) struct Permits {
    pub(super) breaker: Permit,
    /// `None` for a read that verifies an earlier attempt while another request has the turn.
    pub(super) turn: Option<Turn>,
    /// Remaining rate permits.
    calls: u8,
}

impl Permits {
    /// Waits until the rate allows this many calls; false if the breaker has opened meanwhile, or the operator stops.
    pub(super) async fn top_up(&mut self, context: &Context, calls: u8) -> bool {
        let missing = calls.saturating_sub(self.calls);
        context.rate.permits(missing).await;
        self.calls += missing;
        self.breaker.is_valid() && !context.stop.is_cancelled()
    }

    pub(super) fn spend(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }
}

/// Waits for the token and the rate, and takes the permit and, if it is free, the turn; `None` if the breaker has opened, or the operator
/// stops.
pub(super) async fn acquire(context: &Context, key: &Key, calls: u8) -> Option<Permits> {
    context.rate.permits(calls).await;
    usable_token(context).await;
    if context.stop.is_cancelled() {
        return None;
    }
    let breaker = context.breaker.try_acquire(key)?;
    Some(Permits { breaker, turn: context.queue.try_turn(key), calls })
}

/// Waits while the token is being replaced.
pub(super) async fn usable_token(context: &Context) {
    tokio::select! {
        () = context.credential.usable() => {}
        () = context.stop.cancelled() => {}
    }
}
