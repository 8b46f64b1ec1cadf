//! Several requests for one connector: who holds whom up, and what the waiting costs.

use cde_sandbox::cde::{Connector, Fault, HoldPoint, Operation, new_id};

use super::events;
use crate::request::{Request, a_restore, a_rollback};
use crate::world::{Flags, Kind, Object, World};

/// What the call of the deleted request is answered, and how often it was read to find out that nothing happened.
const ANSWERS: [(&str, u16, bool); 2] = [("locked", 423, false), ("lost", 500, true)];

/// Fault 47: before and after its deletion somebody asks for the same connector.
#[tokio::test]
async fn a_deleted_request_whose_attempt_had_no_effect_holds_nobody_up() {
    let world = World::new().await;
    let _operator = world.start(Flags::brisk()).await;
    for (name, code, verified) in ANSWERS {
        for kind in [Kind::Restore, Kind::Rollback] {
            let named = |what: &str| format!("{name}-{what}-{}", kind.short());
            let kept = match kind {
                Kind::Restore => a_restore(&world.sandbox, &named("kept")),
                Kind::Rollback => a_rollback(&world.sandbox, &named("kept")),
            };
            let next = |what| Request { name: named(what), ..kept.clone() };
            let [before, after] = [next("before"), next("after")];
            let connector = world.sandbox.get(kept.id).unwrap().readable_in_bin();
            world.sandbox.put(connector);
            world.sandbox.inject(Fault::on(Operation::Changing).connector(kept.id).answer(code));
            let mut call = world.sandbox.hold(Operation::Changing, kept.id, HoldPoint::BeforeEffect);
            world.apply(&kept.manifest().finalizer()).await;
            call.arrived().await.unwrap();
            world.apply(&before.manifest()).await;
            before.reaches(&world, "Pending").await;
            kept.delete(&world).await;
            call.release();

            before.succeeds(&world).await;
            world.apply(&after.manifest()).await;
            let again = if kind == Kind::Restore { "AlreadyRestored" } else { "RolledBack" };
            after.reaches(&world, again).await;

            let object = kept.look(&world).await;
            assert!(object.status()["outcome"].is_null(), "{object:#?}");
            let own = kept
                .calls(&world.sandbox)
                .into_iter()
                .filter(|call| call.idempotency_key.as_deref() == object.operation()["id"].as_str());
            assert_eq!(own.count(), 1, "no attempt follows the deletion");
            let reads = world.sandbox.calls(Operation::Read, kept.id).into_iter().filter(|call| {
                let operation = object.operation()["id"].as_str().unwrap();
                call.request_id.as_ref().is_some_and(|id| id.starts_with(operation))
            });
            let looked = reads.count() > usize::from(kind == Kind::Rollback);
            assert_eq!(looked, verified, "{}", world.sandbox.ledger());
        }
    }
}

/// Sixty requests for one connector; each says once that it waits, and for whom.
const MANY: usize = 60;

/// Fault 48: a wait, a claim, an outcome, and one more where the queue moved meanwhile.
#[tokio::test]
async fn many_requests_for_one_connector_cost_a_few_writes_each() {
    let world = World::new().await;
    let id = new_id();
    world.sandbox.put(Connector { in_bin: true, ..Connector::migrated(id) });
    let kind = |number: usize| if number.is_multiple_of(3) { Kind::Restore } else { Kind::Rollback };
    let request = |number| Request { kind: kind(number), name: format!("r{number}"), id };
    let requests: Vec<Request> = (0..MANY).map(request).collect();
    let mut first = world.sandbox.hold(Operation::Changing, id, HoldPoint::BeforeEffect);
    crate::request::apply(&world, &requests).await;
    let _operator = world.start(Flags::brisk()).await;
    first.arrived().await.unwrap();
    let mut waiting = 0;
    for request in &requests {
        let seen = |object: &Object| !object.reason().is_empty();
        let object = world.sees(request.kind, &request.name, "seen", seen).await;
        waiting += usize::from(object.reason() == "Pending");
    }
    assert_eq!(waiting, MANY - 1, "all but the first one wait");

    first.release();

    let mut texts = 0;
    for request in &requests {
        let finished = |object: &Object| object.status()["outcome"] == "Succeeded";
        world.sees(request.kind, &request.name, "finished", finished).await;
        texts += events(&world, request).await.len();
    }
    assert!(texts <= 2 * MANY, "{texts} Events");
    let writes = |request: &Request| {
        let of = world.operator_writes(&request.name).into_iter();
        of.filter(|write| write.name == request.name && write.resource == request.plural()).count()
    };
    let all: Vec<usize> = requests.iter().map(writes).collect();
    assert!(all.iter().all(|writes| *writes <= 5), "{all:?}");
    assert!(all.iter().sum::<usize>() <= 4 * MANY, "{all:?}");
    assert_eq!(world.sandbox.effects(id), 1 + requests.iter().filter(|it| it.kind == Kind::Rollback).count());
}
