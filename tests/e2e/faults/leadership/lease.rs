//! The Lease itself: who holds it, and what it survives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cde_sandbox::proxy::{Point, Proxy, Rule};
use http::Method;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::{History, Mode, has_led, leads, lease_of, leases};
use crate::faults::proxied::failure;
use crate::faults::request::until;
use cde_harness::TestEnv;

#[tokio::test]
async fn a_replica_that_loses_its_lease_to_another_exits_with_a_failure() {
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
async fn a_leader_continues_when_a_person_edits_or_deletes_its_lease() {
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
async fn a_takeover_that_arrives_after_another_takeover_has_no_effect() {
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

/// Fault 21: without permission to get the Lease.
#[tokio::test]
async fn a_replica_that_may_not_get_the_lease_is_not_ready_until_it_may_and_logs_why_once() {
    let env = TestEnv::new().await;
    let proxy = Proxy::start(&env.control_plane).await.unwrap();
    let refused = Arc::new(AtomicBool::new(true));
    let looks = Rule::verb(Method::GET).path_contains("/leases/").always();
    let still = refused.clone();
    let rule = looks.clone().and("is still forbidden", move |_| still.load(Ordering::SeqCst));
    proxy.answer(rule, Point::BeforeForward, 403, &[], failure(403, "Forbidden"));
    let mut one = env.start_behind(&proxy, Mode::Elected.replica("one").without_readiness_wait()).await;
    let words = "the Lease cannot be taken";
    one.wait_for_log(words).await;
    until("it keeps trying to read the Lease", || proxy.count(&looks) > 4).await;

    let (code, why) = one.probe("/readyz").await.unwrap();
    assert_eq!((code, why.trim()), (503, "the work has not begun; the log says why"));
    assert_eq!(one.log().matches(words).count(), 1, "{}", one.log());

    refused.store(false, Ordering::SeqCst);
    leads(&one).await;
    one.ready().await;
}

#[tokio::test]
async fn operators_that_differ_in_selector_namespaces_or_base_url_do_not_compete() {
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
