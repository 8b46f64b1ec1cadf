//! Several requests for one connector: which one delays which, and what the waiting costs.

use cde_sandbox::cde::{Connector, Fault, HoldPoint, Operation, new_id};

use super::events;
use crate::faults::request::{Request, a_restore, a_rollback};
use cde_harness::{Flags, Kind, Object, TestEnv};

/// The response to the deleted request's call, and whether a read verified that it had no effect.
const ANSWERS: [(&str, u16, bool); 2] = [("locked", 423, false), ("lost", 500, true)];

/// Fault 47: another request for the same connector comes before and after the deletion.
#[tokio::test]
async fn a_deleted_request_whose_attempt_had_no_effect_delays_no_other() {
    let env = TestEnv::new().await;
    let _operator = env.start(Flags::fast_retries()).await;
    for (name, code, verified) in ANSWERS {
        for kind in [Kind::Restore, Kind::Rollback] {
            let named = |what: &str| format!("{name}-{what}-{}", kind.short());
            let kept = match kind {
                Kind::Restore => a_restore(&env.sandbox, &named("kept")),
                Kind::Rollback => a_rollback(&env.sandbox, &named("kept")),
            };
            let next = |what| Request { name: named(what), ..kept.clone() };
            let [before, after] = [next("before"), next("after")];
            let connector = env.sandbox.get(kept.id).unwrap().readable_in_bin();
            env.sandbox.put(connector);
            env.sandbox.inject(Fault::on(Operation::Changing).connector(kept.id).answer(code));
            let mut call = env.sandbox.hold(Operation::Changing, kept.id, HoldPoint::BeforeEffect);
            env.apply(&kept.manifest().finalizer()).await;
            call.arrived().await.unwrap();
            env.apply(&before.manifest()).await;
            before.wait_for_reason(&env, "Queued").await;
            kept.delete(&env).await;
            call.release();

            before.succeeds(&env).await;
            env.apply(&after.manifest()).await;
            let again = if kind == Kind::Restore { "AlreadyRestored" } else { "RolledBack" };
            after.wait_for_reason(&env, again).await;

            let object = kept.get(&env).await;
            assert!(object.status()["outcome"].is_null(), "{object:#?}");
            let own = kept
                .calls(&env.sandbox)
                .into_iter()
                .filter(|call| call.idempotency_key.as_deref() == object.operation()["id"].as_str());
            assert_eq!(own.count(), 1, "no attempt follows the deletion");
            let reads = env.sandbox.calls(Operation::Read, kept.id).into_iter().filter(|call| {
                let operation = object.operation()["id"].as_str().unwrap();
                call.request_id.as_ref().is_some_and(|id| id.starts_with(operation))
            });
            let looked = reads.count() > usize::from(kind == Kind::Rollback);
            assert_eq!(looked, verified, "{}", env.sandbox.ledger());
        }
    }
}

/// Sixty requests for one connector. Each one reports once that it waits, and for which request.
const MANY: usize = 60;

/// Fault 48: a wait, a claim, an outcome, and one more write where the queue moved meanwhile.
#[tokio::test]
async fn many_requests_for_one_connector_cost_only_a_few_writes_each() {
    let env = TestEnv::new().await;
    let id = new_id();
    env.sandbox.put(Connector { in_bin: true, ..Connector::migrated(id) });
    let kind = |number: usize| if number.is_multiple_of(3) { Kind::Restore } else { Kind::Rollback };
    let request = |number| Request { kind: kind(number), name: format!("r{number}"), id };
    let requests: Vec<Request> = (0..MANY).map(request).collect();
    let mut first = env.sandbox.hold(Operation::Changing, id, HoldPoint::BeforeEffect);
    crate::faults::request::apply(&env, &requests).await;
    let _operator = env.start(Flags::fast_retries()).await;
    first.arrived().await.unwrap();
    let mut waiting = 0;
    for request in &requests {
        let seen = |object: &Object| !object.reason().is_empty();
        let object = env.wait_until(request.kind, &request.name, "seen", seen).await;
        waiting += usize::from(object.reason() == "Queued");
    }
    assert_eq!(waiting, MANY - 1, "all but the first one wait");

    first.release();

    let mut texts = 0;
    for request in &requests {
        let finished = |object: &Object| object.status()["outcome"] == "Succeeded";
        env.wait_until(request.kind, &request.name, "finished", finished).await;
        texts += events(&env, request).await.len();
    }
    assert!(texts <= 2 * MANY, "{texts} Events");
    let writes = |request: &Request| {
        let of = env.operator_writes(&request.name).into_iter();
        of.filter(|write| write.name == request.name && write.resource == request.plural()).count()
    };
    let all: Vec<usize> = requests.iter().map(writes).collect();
    assert!(all.iter().all(|writes| *writes <= 5), "{all:?}");
    assert!(all.iter().sum::<usize>() <= 4 * MANY, "{all:?}");
    assert_eq!(env.sandbox.effects(id), 1 + requests.iter().filter(|it| it.kind == Kind::Rollback).count());
}
