//! Proof that something does not happen: a later request that waits longer than anything before it would.

use cde_sandbox::cde::{Connector, Fault, Operation, new_id};

use super::{Kind, World, restore};

/// Longer than any backoff of these tests, in seconds.
const LONGER_THAN_ANY_BACKOFF: &str = "2";

impl World {
    /// Goes on when whatever was about to happen has happened: a later request was made to wait for longer than
    /// any backoff, was carried out, and its Events, which follow those of all others, have come.
    pub(crate) async fn later(&self) {
        let id = new_id();
        let name = format!("marker-{id}");
        self.sandbox.put(Connector::in_bin(id));
        let locked = Fault::on(Operation::Restore).connector(id).answer(423);
        self.sandbox.inject(locked.header("retry-after", LONGER_THAN_ANY_BACKOFF));
        self.apply(&restore(&name, id)).await;
        self.reaches(Kind::Restore, &name, "Restored").await;
        self.until_events(&name, 2).await;
    }
}
