//! Shows that something does not happen: a later request ends, so every earlier one had enough time.

use cde_sandbox::cde::{Connector, Fault, Operation, new_id};

use super::{Kind, TestEnv, restore};

impl TestEnv {
    /// Returns when everything that was about to happen has happened: a later request has waited for longer than any
    /// backoff of [`Flags::fast_retries`](crate::Flags::fast_retries) and has succeeded, and its Events, which follow
    /// those of all other requests, are published.
    ///
    /// Waits end at whole seconds, and this one ends in a later second than any such backoff that began before it.
    pub async fn settle(&self) {
        self.settle_after(1).await;
    }

    /// As [`Self::settle`], if other requests may wait for almost `seconds`.
    pub async fn settle_after(&self, seconds: u32) {
        let id = new_id();
        let locked = Fault::on(Operation::Restore).connector(id).answer(423);
        self.sandbox.inject(locked.header("retry-after", seconds.to_string()));
        self.mark(id, 2).await;
    }

    /// Returns when all Events that are due now are published.
    pub async fn flush_events(&self) {
        self.mark(new_id(), 1).await;
    }

    /// Waits until a new request has succeeded and has this number of Events.
    async fn mark(&self, id: uuid::Uuid, events: usize) {
        let name = format!("marker-{id}");
        self.sandbox.put(Connector::in_bin(id));
        self.apply(&restore(&name, id)).await;
        self.wait_for_reason(Kind::Restore, &name, "Restored").await;
        self.until_events(&name, events).await;
    }
}
