//! Outcomes that cannot be stored in one namespace: the others go on, and they are stored when they can be.

use cde_sandbox::cde::{HoldPoint, Operation};
use cde_sandbox::proxy::{Call, Proxy, Rule};

use super::{Account, Switch, namespaces, neighbour, refuse};
use crate::faults::request::{Request, a_restore, a_rollback, all_succeed_once, apply, both, many, until};
use cde_harness::{Flags, Kind, TestEnv};

/// Each has one call, whose answer is recorded as such.
async fn are_recorded(place: &TestEnv, requests: &[Request]) {
    all_succeed_once(place, requests).await;
    for request in requests {
        assert_eq!(request.calls(&place.sandbox).len(), 1, "{}", place.sandbox.ledger());
        let end = request.get(place).await;
        assert_eq!(end.operation()["evidence"], "Response", "{end:#?}");
        assert_eq!(end.attempts(), 1, "{end:#?}");
    }
}

/// The rights in a namespace are taken away during the call of a request of this kind.
async fn rights_are_lost_during_a_call(kind: Kind) {
    let here = TestEnv::new().await;
    let there = neighbour(&here).await;
    let account = Account::new(&here).await;
    account.bind(&here).await;
    account.bind(&there).await;
    let flags =
        Flags::fast_retries().with("--namespaces", &namespaces(&[&here, &there])).with("--concurrency", "1");
    let _operator = here.start_as(&account.kubeconfig(None).await, flags).await;
    let struck = match kind {
        Kind::Restore => a_restore(&there.sandbox, "struck"),
        Kind::Rollback => a_rollback(&there.sandbox, "struck"),
    };
    let mut call = there.sandbox.hold(Operation::Changing, struck.id, HoldPoint::AfterEffect);
    apply(&there, std::slice::from_ref(&struck)).await;
    call.arrived().await.unwrap();
    account.unbind(&there).await;
    call.release();

    let others = both(&here.sandbox, "others");
    apply(&here, &others).await;
    all_succeed_once(&here, &others).await;

    assert_eq!(struck.get(&there).await.reason(), "InProgress", "its outcome cannot be stored");
    account.bind(&there).await;
    are_recorded(&there, &[struck]).await;
}

/// Fault 42.
#[tokio::test]
async fn rights_that_are_lost_in_one_namespace_during_a_call_hold_up_no_other() {
    tokio::join!(rights_are_lost_during_a_call(Kind::Restore), rights_are_lost_during_a_call(Kind::Rollback));
}

fn is_outcome(call: &Call) -> bool {
    !call.json()["status"]["outcome"].is_null()
}

/// More outcomes are pending in a namespace than there are workers; the API server answers `code` to each.
async fn more_are_pending_than_there_are_workers(code: u16) {
    let here = TestEnv::new().await;
    let there = neighbour(&here).await;
    let proxy = Proxy::start(&here.control_plane).await.unwrap();
    let flags =
        Flags::fast_retries().with("--namespaces", &namespaces(&[&here, &there])).with("--concurrency", "2");
    let _operator = here.start_behind(&proxy, flags).await;
    let refused = Switch::on();
    let outcomes = Rule::any()
        .path_contains(&format!("/namespaces/{}/", there.namespace))
        .path_ends_with("/status")
        .and("an outcome", is_outcome);
    refuse(&proxy, refused.guard(outcomes.clone()), code);
    let struck = many(&there.sandbox, 5);
    apply(&there, &struck).await;
    until("pending outcomes", || proxy.count(&outcomes) >= 2).await;

    let others = both(&here.sandbox, "others");
    apply(&here, &others).await;
    all_succeed_once(&here, &others).await;

    let called = || struck.iter().all(|request| !request.calls(&there.sandbox).is_empty());
    until("a call for each request, whose outcomes wait beside each other", called).await;
    refused.turn_off();
    are_recorded(&there, &struck).await;
}

/// Fault 42: refused, and put off.
#[tokio::test]
async fn outcomes_that_cannot_be_stored_occupy_no_worker() {
    tokio::join!(
        more_are_pending_than_there_are_workers(403),
        more_are_pending_than_there_are_workers(500),
        more_are_pending_than_there_are_workers(503),
    );
}
