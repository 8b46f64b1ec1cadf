//! Several requests for one connector: one at a time, in a known order, and each says which request it waits for.

use cde_sandbox::cde::{Connector, Fault, Held, HoldPoint, Operation, RollbackEffect, Version, new_id};
use uuid::Uuid;

use cde_harness::{Flags, Kind, Manifest, TestEnv, restore, rollback};

fn locked(id: Uuid) -> Fault {
    Fault::on(Operation::Changing).connector(id).answer(423).header("retry-after", "3600")
}

/// Returns a connector in the bin whose migration can be rolled back once it is restored.
fn in_bin(id: Uuid) -> Connector {
    let version = Version::new("1.0.0").state("synchronized-to-prod").production(25, 5).legacy(24);
    Connector::in_bin(id).version(version).main(1)
}

/// Returns a connector, and the call of the rollback `first`, which is held before its effect.
async fn first_in_its_call(env: &TestEnv) -> (Uuid, Held) {
    let id = new_id();
    env.sandbox.put(Connector::migrated(id));
    let mut held = env.sandbox.hold(Operation::Rollback, id, HoldPoint::BeforeEffect);
    env.apply(&rollback("first", id, "main")).await;
    held.arrived().await.expect("an attempt");
    (id, held)
}

#[tokio::test]
async fn a_request_waits_and_says_so_while_another_one_calls_for_its_connector() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let (id, held) = first_in_its_call(&env).await;
    env.apply_all([rollback("second", id, "1"), restore("third", id)]).await;

    let waited_for = format!("MigrationRollback {}/first", env.namespace);
    let expected = format!("Waiting for {waited_for}, which is for the same connector.");
    for (kind, name) in [(Kind::Rollback, "second"), (Kind::Restore, "third")] {
        let waiting = env.wait_for_reason(kind, name, "Queued").await;
        assert_eq!(waiting.message(), expected);
        assert_eq!(waiting.attempts(), 0);
    }
    assert_eq!(env.sandbox.calls(Operation::Changing, id).len(), 1);
    held.release();

    env.wait_for_reason(Kind::Rollback, "first", "RolledBack").await;
    env.wait_for_reason(Kind::Restore, "third", "AlreadyRestored").await;
    env.wait_for_reason(Kind::Rollback, "second", "RolledBack").await;
    let told = env.until_events("second", 2).await;
    assert_eq!((told[0].0.as_str(), told[0].1.as_str()), ("Normal", "Queued"), "{told:?}");
}

#[tokio::test]
async fn a_restore_goes_before_an_older_rollback_and_rollbacks_go_by_age() {
    let env = TestEnv::new().await;
    let id = new_id();
    env.sandbox.put(in_bin(id));
    let mut born = Vec::new();
    for name in ["b", "a", "c"] {
        env.apply(&rollback(name, id, "main")).await;
        let object = env.get(Kind::Rollback, name).await;
        let text = |field: &str| object.metadata()[field].as_str().expect("text").to_owned();
        born.push(((text("creationTimestamp"), text("uid")), name));
    }
    env.apply(&restore("z", id)).await;
    born.sort();

    let _operator = env.start(Flags::fast_retries()).await;

    let mut expected = Vec::new();
    let first = env.wait_for_reason(Kind::Restore, "z", "Restored").await;
    expected.push(first.operation()["id"].as_str().expect("an id").to_owned());
    for (_, name) in born {
        let done = env.wait_for_reason(Kind::Rollback, name, "RolledBack").await;
        expected.push(done.operation()["id"].as_str().expect("an id").to_owned());
    }
    let calls = env.sandbox.calls(Operation::Changing, id);
    let order: Vec<String> = calls.into_iter().filter_map(|call| call.idempotency_key).collect();
    assert_eq!(order, expected);
}

#[tokio::test]
async fn no_request_waits_for_a_suspended_one_or_one_in_a_backoff_without_effect() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let [asleep, waiting] = [new_id(), new_id()];
    env.sandbox.put(Connector::migrated(asleep));
    env.sandbox.put(Connector::migrated(waiting));
    env.sandbox.inject(locked(waiting));
    let sleeps = rollback("asleep", asleep, "main").spec("suspend", true);
    env.apply_all([sleeps, rollback("waiting", waiting, "main")]).await;
    env.wait_for_reason(Kind::Rollback, "asleep", "Suspended").await;
    env.wait_for_reason(Kind::Rollback, "waiting", "Retrying").await;

    let passing: [Manifest; 2] =
        [rollback("past-asleep", asleep, "main"), rollback("past-waiting", waiting, "main")];
    env.apply_all(passing).await;

    env.wait_for_reason(Kind::Rollback, "past-asleep", "RolledBack").await;
    env.wait_for_reason(Kind::Rollback, "past-waiting", "RolledBack").await;
    env.wait_for_reason(Kind::Rollback, "asleep", "Suspended").await;
    env.wait_for_reason(Kind::Rollback, "waiting", "Retrying").await;
}

#[tokio::test]
async fn no_request_waits_for_one_suspended_after_a_verified_attempt_without_effect() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let id = new_id();
    env.sandbox.put(in_bin(id));
    env.sandbox.inject(Fault::on(Operation::Restore).connector(id).answer(500));
    let mut held = env.sandbox.hold(Operation::Restore, id, HoldPoint::BeforeEffect);
    env.apply(&restore("asleep", id)).await;
    held.arrived().await.expect("an attempt");
    env.apply(&restore("asleep", id).spec("suspend", true)).await;
    held.release();
    let asleep = env.wait_for_reason(Kind::Restore, "asleep", "Suspended").await;
    assert_eq!(asleep.operation()["unknownAttempts"], 1);

    env.apply(&restore("other", id)).await;

    env.wait_for_reason(Kind::Restore, "other", "Restored").await;
}

#[tokio::test]
async fn a_request_waits_for_an_unknown_effect_and_continues_when_it_is_known() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let id = new_id();
    env.sandbox.put(Connector::migrated(id).on_rollback(RollbackEffect::Moving));
    env.sandbox.inject(Fault::on(Operation::Rollback).connector(id).answer(500).after_effect());
    env.apply(&rollback("first", id, "main")).await;
    env.wait_for_reason(Kind::Rollback, "first", "Verifying").await;
    env.apply(&rollback("second", id, "main")).await;
    env.wait_for_reason(Kind::Rollback, "second", "Queued").await;
    env.settle().await;
    assert_eq!(env.sandbox.calls(Operation::Changing, id).len(), 1);

    let settled = Connector { rollback: RollbackEffect::Swap, ..env.sandbox.get(id).expect("it") };
    env.sandbox.put(settled);
    env.sandbox.settle(id);

    let first = env.wait_for_reason(Kind::Rollback, "first", "RolledBack").await;
    assert_eq!(first.operation()["evidence"], "ObservedChange");
    let second = env.wait_for_reason(Kind::Rollback, "second", "RolledBack").await;
    assert_eq!(second.status()["before"]["executables"]["production"], 24, "as the first one left it");
}

#[tokio::test]
async fn a_waiting_request_can_expire_and_a_deleted_one_delays_no_other() {
    let (env, _operator) = TestEnv::with_fast_retries().await;
    let (id, held) = first_in_its_call(&env).await;
    env.apply(&rollback("second", id, "main").spec("deadlineSeconds", 2)).await;
    env.wait_for_reason(Kind::Rollback, "second", "Queued").await;

    env.wait_for_reason(Kind::Rollback, "second", "DeadlineExceeded").await;

    assert_eq!(env.sandbox.calls(Operation::Changing, id).len(), 1);
    held.release();
    env.wait_for_reason(Kind::Rollback, "first", "RolledBack").await;
}
