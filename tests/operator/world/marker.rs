//! Proof that something does not happen: a later request, whose end shows that all before it has had its time.

use cde_sandbox::cde::{Connector, Fault, Operation, new_id};

use super::{Kind, World, restore};

impl World {
    /// Goes on when whatever was about to happen has happened: a later request was made to wait for longer than
    /// any backoff of a brisk operator, was carried out, and its Events, which follow those of all others, have
    /// come.
    ///
    /// Waits end at whole seconds: this one in a later second than any such backoff that began before it.
    pub(crate) async fn later(&self) {
        self.later_by(1).await;
    }

    /// The same, where others may have waited for almost so many seconds.
    pub(crate) async fn later_by(&self, seconds: u32) {
        let id = new_id();
        let locked = Fault::on(Operation::Restore).connector(id).answer(423);
        self.sandbox.inject(locked.header("retry-after", seconds.to_string()));
        self.mark(id, 2).await;
    }

    /// Goes on when all Events that were to be published by now have come.
    pub(crate) async fn all_told(&self) {
        self.mark(new_id(), 1).await;
    }

    /// A request that is carried out and brings so many Events.
    async fn mark(&self, id: uuid::Uuid, events: usize) {
        let name = format!("marker-{id}");
        self.sandbox.put(Connector::in_bin(id));
        self.apply(&restore(&name, id)).await;
        self.reaches(Kind::Restore, &name, "Restored").await;
        self.until_events(&name, events).await;
    }
}
