//! What goes well.

use cde_operator::api::{Evidence, Outcome};
use cde_sandbox::cde::{Connector, new_id};

use crate::world::{World, restore, rollback};

#[tokio::test]
async fn a_rollback_is_carried_out_once_and_says_what_came_of_it() {
    let (world, _operator) = World::with_operator().await;
    let id = new_id();
    world.sandbox.put(Connector::migrated(id));
    world.apply(&rollback("back", id, "main")).await;

    let done = world.rollback_is("back", "RolledBack").await;

    let status = done.status.expect("a status");
    let operation = status.operation.expect("an operation");
    assert_eq!(status.outcome, Some(Outcome::Succeeded));
    assert_eq!(operation.evidence, Some(Evidence::Response));
    assert_eq!(operation.attempts, 1);
    assert_eq!(status.result.executables.expect("executables").production, Some(24));
    assert_eq!(world.sandbox.effects(id), 1);
}

#[tokio::test]
async fn a_restore_is_carried_out_once_and_says_what_came_of_it() {
    let (world, _operator) = World::with_operator().await;
    let id = new_id();
    world.sandbox.put(Connector::in_bin(id));
    world.apply(&restore("out", id)).await;

    let done = world.restore_is("out", "Restored").await;

    let status = done.status.expect("a status");
    assert_eq!(status.outcome, Some(Outcome::Succeeded));
    assert!(status.result.connector.is_some());
    assert_eq!(world.sandbox.effects(id), 1);
}
