//! Holds a call at a chosen point until a test decides how it continues.

use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::Error;
use super::operation::{Operation, Route};

/// Where a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldPoint {
    /// The call has arrived, and the operation is not carried out yet.
    BeforeEffect,
    /// The operation has been carried out, and the response is not sent yet.
    AfterEffect,
}

/// The test's end of a hold on one call. Dropped without a decision, it lets the call continue.
#[derive(Debug)]
pub struct Held {
    arrived: oneshot::Receiver<()>,
    here: bool,
    decision: oneshot::Sender<Decision>,
}

impl Held {
    /// How long [`arrived`](Self::arrived) waits.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Resolves when a call is held.
    ///
    /// # Errors
    /// [`Error::NotArrived`] after 20 seconds.
    pub async fn arrived(&mut self) -> Result<(), Error> {
        self.arrived_within(Self::PATIENCE).await
    }

    /// Resolves when a call is held.
    ///
    /// # Errors
    /// [`Error::NotArrived`] after `patience`, or when the sandbox is gone.
    pub async fn arrived_within(&mut self, patience: Duration) -> Result<(), Error> {
        if !self.here {
            self.here = matches!(tokio::time::timeout(patience, &mut self.arrived).await, Ok(Ok(())));
        }
        if self.here { Ok(()) } else { Err(Error::NotArrived(patience)) }
    }

    /// Lets the call continue.
    pub fn release(self) {
        // If the call is gone, it needs no decision.
        let _ = self.decision.send(Decision::Release);
    }

    /// Cuts the connection without a response. A call that is held before its effect then has none.
    pub fn cut(self) {
        let _ = self.decision.send(Decision::Cut);
    }
}

/// How a held call continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Release,
    Cut,
}

/// The server's end of a hold.
pub(super) struct Hold {
    operation: Operation,
    connector: Uuid,
    point: HoldPoint,
    arrived: oneshot::Sender<()>,
    decision: oneshot::Receiver<Decision>,
}

impl Hold {
    /// Waits for the decision.
    pub(super) async fn decided(self) -> Decision {
        let _ = self.arrived.send(());
        self.decision.await.unwrap_or(Decision::Release)
    }
}

/// Both ends of a hold.
pub(super) fn hold(operation: Operation, connector: Uuid, point: HoldPoint) -> (Hold, Held) {
    let (arrived_tx, arrived) = oneshot::channel();
    let (decision, decision_rx) = oneshot::channel();
    let hold = Hold { operation, connector, point, arrived: arrived_tx, decision: decision_rx };
    (hold, Held { arrived, here: false, decision })
}

/// Takes the first hold for this call at this point. Removes holds whose test has dropped them.
pub(super) fn take(holds: &mut Vec<Hold>, route: Option<&Route>, point: HoldPoint) -> Option<Hold> {
    let route = route?;
    holds.retain(|hold| !hold.arrived.is_closed());
    let found = holds.iter().position(|hold| {
        hold.point == point
            && Some(hold.connector) == route.connector
            && hold.operation.covers(Some(route.operation))
    })?;
    Some(holds.remove(found))
}
