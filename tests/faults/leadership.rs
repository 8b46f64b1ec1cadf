//! Replicas that share a Lease: one works, the others wait for it.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::request::{apply, both, end_as_without_fault};
use crate::world::{Flags, Operator, World};

/// A Lease lasts so long, and is looked at a moment after its end.
const LEASE: Duration = Duration::from_secs(15);

fn replica(pod: &str) -> Flags {
    Flags::default().env("CDE_LEADER_ELECTION", "true").env("POD_NAME", pod)
}

/// The name of the Lease that an operator waits for.
async fn lease_of(operator: &Operator) -> String {
    let line: Value = serde_json::from_str(&operator.says("waiting for the Lease").await).unwrap();
    line["lease"].as_str().unwrap().to_owned()
}

fn leases(world: &World) -> Api<Lease> {
    Api::namespaced(world.client.clone(), "cde-operator-system")
}

async fn leads(operator: &Operator) {
    operator.says("this replica leads").await;
}

async fn holder(world: &World, lease: &str) -> Option<String> {
    leases(world).get(lease).await.unwrap().spec.and_then(|spec| spec.holder_identity)
}

#[tokio::test]
async fn of_two_replicas_one_works_and_when_it_dies_the_other_takes_over() {
    let world = World::new().await;
    let mut one = world.start(replica("one")).await;
    leads(&one).await;
    let mut two = world.start(replica("two")).await;
    let requests = both(&world.sandbox, "first");
    apply(&world, &requests).await;
    end_as_without_fault(&world, &requests, 1, false).await;
    assert!(!two.log().contains("this replica leads"), "{}", two.log());
    assert_eq!(two.probe("/readyz").await.unwrap().0, 200, "it is ready to take over");
    let lease = lease_of(&two).await;
    assert!(holder(&world, &lease).await.unwrap().starts_with("one-"));

    one.kill();
    let died = Instant::now();
    let requests = both(&world.sandbox, "second");
    apply(&world, &requests).await;
    leads(&two).await;

    assert!(died.elapsed() < LEASE + Duration::from_secs(8), "it took {:?}", died.elapsed());
    end_as_without_fault(&world, &requests, 1, false).await;
    assert!(holder(&world, &lease).await.unwrap().starts_with("two-"));
}

#[tokio::test]
async fn a_replica_that_is_told_to_stop_gives_the_lease_back_and_the_next_one_need_not_wait_for_its_end() {
    let world = World::new().await;
    let mut one = world.start(replica("one")).await;
    leads(&one).await;
    let lease = lease_of(&one).await;
    assert!(holder(&world, &lease).await.is_some());

    assert_eq!(one.terminate().await, Some(0), "{}", one.log());

    assert_eq!(holder(&world, &lease).await, None);
    let begun = Instant::now();
    let two = world.start(replica("two")).await;
    leads(&two).await;
    assert!(begun.elapsed() < LEASE / 2, "it took {:?}", begun.elapsed());
    let requests = both(&world.sandbox, "request");
    apply(&world, &requests).await;
    end_as_without_fault(&world, &requests, 1, false).await;
}

#[tokio::test]
async fn a_replica_whose_lease_another_holds_ends_with_a_failure() {
    let world = World::new().await;
    let mut one = world.start(replica("one")).await;
    leads(&one).await;
    let lease = lease_of(&one).await;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let spec =
        json!({"spec": {"holderIdentity": "intruder", "renewTime": now, "leaseDurationSeconds": 3600}});
    leases(&world).patch(&lease, &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();

    assert_eq!(one.exit_code().await, Some(1), "{}", one.log());

    assert!(one.log().contains("the Lease is lost"), "{}", one.log());
    assert_eq!(holder(&world, &lease).await.as_deref(), Some("intruder"));
}

#[tokio::test]
async fn operators_that_share_the_work_by_selector_namespace_or_address_do_not_compete() {
    let world = World::new().await;
    let mut names = Vec::new();
    for flags in [
        replica("one"),
        replica("two"),
        replica("one").env("CDE_SELECTOR", "team=a"),
        replica("one").with("--namespaces", "default"),
        replica("one").env("CDE_URL", "https://cde.example.com"),
    ] {
        let operator = world.start(flags.unready()).await;
        names.push(lease_of(&operator).await);
    }
    assert_eq!(names[0], names[1], "replicas of one operator");
    names.remove(0);
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}
