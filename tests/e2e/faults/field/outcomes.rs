//! Outcomes that cannot be stored in one namespace do not delay the others, and are stored when that is possible
//! again.

use cde_sandbox::cde::{HoldPoint, Operation};
use cde_sandbox::proxy::{Call, Proxy, Rule};

use super::{Account, Switch, namespaces, other_namespace, refuse};
use crate::faults::request::{Request, a_restore, a_rollback, all_succeed_once, apply, both, many, until};
use cde_harness::{Flags, Kind, TestEnv};

/// Checks that each request has one call, whose response is its outcome.
async fn are_recorded(place: &TestEnv, requests: &[Request]) {
    all_succeed_once(place, requests).await;
    for request in requests {
        assert_eq!(request.calls(&place.sandbox).len(), 1, "{}", place.sandbox.ledger());
        let end = request.get(place).await;
        assert_eq!(end.operation()["evidence"], "Response", "{end:#?}");
        assert_eq!(end.attempts(), 1, "{end:#?}");
    }
}

/// Removes the permissions in a namespace during the call of a request of this kind.
async fn permissions_are_lost_during_a_call(kind: Kind) {
    let here = TestEnv::new().await;
    let there = other_namespace(&here).await;
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
async fn permissions_lost_in_one_namespace_during_a_call_delay_no_other_namespace() {
    tokio::join!(
        permissions_are_lost_during_a_call(Kind::Restore),
        permissions_are_lost_during_a_call(Kind::Rollback)
    );
}

fn is_outcome(call: &Call) -> bool {
    !call.json()["status"]["outcome"].is_null()
}

/// Leaves more outcomes pending in a namespace than there are workers. The API server answers `code` to each.
async fn more_are_pending_than_there_are_workers(code: u16) {
    let here = TestEnv::new().await;
    let there = other_namespace(&here).await;
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
    until("one call for each request, and all outcomes wait at the same time", called).await;
    refused.turn_off();
    are_recorded(&there, &struck).await;
}

/// Fault 42: rejected, and delayed.
#[tokio::test]
async fn outcomes_that_cannot_be_stored_occupy_no_worker() {
    tokio::join!(
        more_are_pending_than_there_are_workers(403),
        more_are_pending_than_there_are_workers(500),
        more_are_pending_than_there_are_workers(503),
    );
}
