//! A refusal of a read in unknown words that lasts is believed, and means what a documented one means.

use cde_sandbox::cde::{Fault, Operation};
use jiff::SignedDuration;
use serde_json::json;

use super::gateway::says;
use crate::request::{Request, apply, both};
use crate::world::{Flags, Kind, World};

/// Refuses all reads of the request's connector after the first `spared`.
fn refuse_reads(world: &World, request: &Request, spared: u32) {
    let refusal = says(Operation::Read, 403, "Forbidden").connector(request.id);
    world.sandbox.inject(refusal.skip(spared).always());
}

/// At least three refusals, the last at least a second after the first: two are a fifth of `--retry-max`, and stored
/// times have whole seconds.
fn was_confirmed(world: &World, request: &Request, spared: usize) {
    let reads = world.sandbox.calls(Operation::Read, request.id).split_off(spared);
    assert!(reads.len() >= 3, "{} refused reads\n{}", reads.len(), world.sandbox.ledger());
    let lasted = reads.last().unwrap().at.duration_since(reads[0].at);
    assert!(lasted >= SignedDuration::from_secs(1), "believed after {lasted}");
}

fn flags() -> Flags {
    Flags::brisk().with("--retry-max", "10s")
}

/// Fault 43: the token may really not read.
#[tokio::test]
async fn a_read_that_is_refused_for_long_is_done_without_or_fails_its_preconditions() {
    let world = World::new().await;
    let _operator = world.start(flags()).await;
    let [plain, guarded] = ["plain", "guarded"].map(|name| {
        let [request, _] = both(&world.sandbox, name);
        refuse_reads(&world, &request, 0);
        request
    });
    let condition = json!({"executables": {"production": 25}});
    world.apply_all([plain.manifest(), guarded.manifest().spec("preconditions", condition)]).await;

    plain.succeeds(&world).await;
    guarded.reaches(&world, "PreconditionFailed").await;

    let calls = plain.calls(&world.sandbox);
    assert_eq!((calls.len(), calls[0].version.as_deref()), (1, Some("main")), "the word itself");
    assert_eq!(guarded.calls(&world.sandbox).len(), 0);
    for request in [&plain, &guarded] {
        was_confirmed(&world, request, 0);
    }
}

/// Fault 43: nobody can tell whether the lost call had an effect.
#[tokio::test]
async fn a_refused_look_that_lasts_ends_a_rollback_as_unknown_and_repeats_a_restore() {
    let world = World::new().await;
    let _operator = world.start(flags()).await;
    let requests = both(&world.sandbox, "lost");
    for request in &requests {
        world.sandbox.inject(Fault::on(Operation::Changing).connector(request.id).answer(500));
        refuse_reads(&world, request, u32::from(request.kind == Kind::Rollback));
    }
    apply(&world, &requests).await;

    let [rollback, restore] = &requests;
    rollback.reaches(&world, "OutcomeUnknown").await;
    restore.succeeds(&world).await;

    was_confirmed(&world, rollback, 1);
    was_confirmed(&world, restore, 0);
    assert_eq!((rollback.calls(&world.sandbox).len(), restore.calls(&world.sandbox).len()), (1, 2));
}
