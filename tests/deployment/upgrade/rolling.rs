//! A rolling update: CRDs and permissions first, then a new pod beside the old one, which gets SIGTERM when the new
//! one is ready.

use cde_sandbox::cde::HoldPoint;
use cde_sandbox::process::Signal;

use crate::tools::own_control_plane;
use crate::upgrade::existing::{BOTH, ExistingRequests, check_end, hold_calls};
use crate::upgrade::version::Version;
use cde_harness::{Kind, Request, TestEnv, restore};

#[tokio::test]
async fn an_upgrade_changes_no_record_repeats_no_call_and_continues_waiting_requests() {
    replace(Version::Earlier, Version::Present, true).await;
}

/// The CRDs stay, because removing a field would remove stored data with it.
#[tokio::test]
async fn the_operator_can_be_downgraded_without_the_crds() {
    replace(Version::Present, Version::Earlier, false).await;
}

async fn replace(from: Version, to: Version, with_crds: bool) {
    let env = TestEnv::on(own_control_plane().await).await;
    from.define(&env).await;
    from.grant(&env).await;
    let mut old = env.start(from.replica("old", "50s").await).await;
    let existing = ExistingRequests::create(&env).await;
    let mut held = hold_calls(&env, "calling", HoldPoint::BeforeEffect).await;
    held.extend(hold_calls(&env, "answering", HoldPoint::AfterEffect).await);
    let queued = behind(&env, &held[1].request).await;

    if with_crds {
        to.define(&env).await;
    }
    to.grant(&env).await;
    let new = env.start(to.replica("new", "20s").await).await;
    let made_meanwhile = BOTH.map(|kind| Request::new(kind, "meanwhile"));
    old.process.signal(Signal::TERM).unwrap();
    old.wait_for_log("stopping").await;
    for request in &made_meanwhile {
        env.sandbox.put(request.ready_connector());
        env.apply(&request.manifest()).await;
    }
    assert!(!new.log().contains("this replica leads"), "two lead:\n{}", new.log());
    let mut requests = Vec::new();
    for flight in held {
        flight.call.release();
        requests.push(flight.request);
    }
    assert_eq!(old.exit_code().await, Some(0), "{}", old.log());
    new.wait_for_log("this replica leads").await;

    for request in requests.iter().chain(&made_meanwhile) {
        check_end(&env, request, 1, "Response").await;
    }
    env.wait_for(&queued, "AlreadyRestored").await;
    assert_eq!(env.sandbox.effects(queued.id), 1, "the rollback's: {}", env.sandbox.ledger());
    env.settle().await;
    existing.check_unchanged(&env).await;
    existing.check_retries(&env).await;
}

/// Returns a restore that waits for a rollback of the same connector.
async fn behind(env: &TestEnv, first: &Request) -> Request {
    assert_eq!(first.kind, Kind::Rollback);
    let queued = Request { kind: Kind::Restore, name: "crst-queued".to_owned(), id: first.id };
    env.apply(&restore(&queued.name, queued.id)).await;
    env.wait_for(&queued, "Queued").await;
    queued
}
