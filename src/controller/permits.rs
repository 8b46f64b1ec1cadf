//! What an attempt needs before its connector is read: the rate, the circuit breaker, the connector's turn.
//!
//! They are taken before the read and held until the call is over, so that a reading is never older than the time its
//! own calls take.

use super::circuit_breaker::Permit;
use super::connector_queue::Turn;
use super::context::Context;
use super::kind::Key;

/// The right to the calls of one attempt.
pub(super) struct Permits {
    pub(super) breaker: Permit,
    /// `None` for a read that verifies an earlier attempt while another request has the turn.
    pub(super) turn: Option<Turn>,
    /// Calls that the rate allows.
    calls: u8,
}

impl Permits {
    /// Waits until the rate allows so many calls; false where the breaker has opened by then, or the operator stops.
    pub(super) async fn top_up(&mut self, context: &Context, calls: u8) -> bool {
        let missing = calls.saturating_sub(self.calls);
        context.rate.permits(missing).await;
        self.calls += missing;
        self.breaker.is_valid() && !context.stop.is_cancelled()
    }

    /// Uses one of the calls that the rate allows.
    pub(super) fn spend(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }
}

/// Waits for the rate, then takes what is free; `None` where the breaker is open by now, or the operator stops.
pub(super) async fn acquire(context: &Context, key: &Key, calls: u8) -> Option<Permits> {
    context.rate.permits(calls).await;
    if context.stop.is_cancelled() {
        return None;
    }
    let breaker = context.breaker.try_acquire(key)?;
    Some(Permits { breaker, turn: context.queue.try_turn(key), calls })
}
