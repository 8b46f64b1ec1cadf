//! The Lease itself: whose it is, and what it survives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cde_sandbox::proxy::{Point, Proxy, Rule};
use http::Method;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::{History, Mode, has_led, leads, lease_of, leases};
use crate::faults::request::until;
use crate::faults::scene::failure;
use cde_harness::TestEnv;

#[tokio::test]
async fn a_replica_whose_lease_another_holds_ends_with_a_failure() {
    let env = TestEnv::new().await;
    let mut one = env.start(Mode::Elected.replica("one")).await;
    leads(&one).await;
    let lease = lease_of(&one).await;
    let spec = json!({"spec": {"holderIdentity": "intruder", "leaseDurationSeconds": 3600}});
    leases(&env).patch(&lease, &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();

    assert_eq!(one.exit_code().await, Some(1), "{}", one.log());

    assert!(one.log().contains("the Lease is lost"), "{}", one.log());
    let spec = leases(&env).get(&lease).await.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("intruder"));
}

#[tokio::test]
async fn a_leader_goes_on_when_its_lease_is_edited_or_deleted_by_a_person() {
    let env = TestEnv::new().await;
    let mut one = env.start(Mode::Elected.replica("one")).await;
    leads(&one).await;
    let (lease, history) = (lease_of(&one).await, History::of(&env, &one).await);
    history.is_held_by("one").await;
    let edit = json!({"metadata": {"annotations": {"example.com/note": "seen"}}});
    leases(&env).patch(&lease, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    history.grows_by(2).await;
    leases(&env).delete(&lease, &DeleteParams::default()).await.unwrap();
    history.grows_by(2).await;

    assert_eq!(history.holders(), ["one"]);
    assert_eq!(one.process.try_wait().unwrap(), None, "{}", one.log());
}

#[tokio::test]
async fn a_take_over_that_arrives_when_another_has_taken_over_takes_nothing() {
    let env = TestEnv::new().await;
    let mut one = env.start(Mode::Elected.replica("one")).await;
    leads(&one).await;
    let history = History::of(&env, &one).await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let taking = Rule::verb(Method::PATCH).path_contains("/leases/").always();
    let late = proxy.hold(taking, Point::BeforeForward);
    let two = env.start_behind(&proxy, Mode::Elected.replica("two")).await;
    assert_eq!(one.terminate().await, Some(0));
    late.seen().await.unwrap();
    let three = env.start(Mode::Elected.replica("three")).await;
    leads(&three).await;

    late.release();

    history.is_held_by("three").await;
    history.grows_by(1).await;
    assert_eq!(history.holders(), ["one", "-", "three"]);
    assert!(!has_led(&two), "{}", two.log());
}

/// Fault 21: without the right to see the Lease.
#[tokio::test]
async fn a_replica_that_cannot_see_the_lease_is_not_ready_and_says_why_once_and_goes_on_when_it_can() {
    let env = TestEnv::new().await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let refused = Arc::new(AtomicBool::new(true));
    let looks = Rule::verb(Method::GET).path_contains("/leases/").always();
    let still = refused.clone();
    let rule = looks.clone().and("is refused still", move |_| still.load(Ordering::SeqCst));
    proxy.answer(rule, Point::BeforeForward, 403, &[], failure(403, "Forbidden"));
    let mut one = env.start_behind(&proxy, Mode::Elected.replica("one").without_readiness_wait()).await;
    let words = "the Lease could not be acquired";
    one.wait_for_log(words).await;
    until("it has looked again and again", || proxy.count(&looks) > 4).await;

    let (code, why) = one.probe("/readyz").await.unwrap();
    assert_eq!((code, why.trim()), (503, "the operator has not started; see the log"));
    assert_eq!(one.log().matches(words).count(), 1, "{}", one.log());

    refused.store(false, Ordering::SeqCst);
    leads(&one).await;
    one.ready().await;
}

#[tokio::test]
async fn operators_that_share_the_work_by_selector_namespace_or_address_do_not_compete() {
    let env = TestEnv::new().await;
    let replica = |pod| Mode::Elected.replica(pod);
    let mut names = Vec::new();
    for flags in [
        replica("one"),
        replica("two"),
        replica("one").env("CDE_SELECTOR", "team=a"),
        replica("one").with("--namespaces", "default"),
        replica("one").env("CDE_URL", "https://cde.example.com"),
    ] {
        let operator = env.start(flags.without_readiness_wait()).await;
        names.push(lease_of(&operator).await);
    }
    assert_eq!(names[0], names[1], "replicas of one operator");
    names.remove(0);
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}
