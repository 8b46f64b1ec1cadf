//! The Lease of operators that watch the same namespaces, however the flag lists them.

use std::time::Instant;

use super::{metric, other_namespace};
use crate::faults::leadership::lease_of;
use cde_harness::{Flags, LIMIT, Operator, POLL, TestEnv};

/// Returns an operator that takes part in the election, and the name of its Lease.
async fn replica(env: &TestEnv, namespaces: &str) -> (Operator, String) {
    let flags = Flags::default()
        .with("--namespaces", namespaces)
        .env("CDE_LEADER_ELECTION", "true")
        .without_readiness_wait();
    let kubeconfig = env.kubeconfig(None).await;
    let operator = env.start_as(&kubeconfig, flags).await;
    let lease = lease_of(&operator).await;
    (operator, lease)
}

/// Fault 45.
#[tokio::test]
async fn the_same_namespaces_in_another_order_with_blanks_or_twice_share_one_lease() {
    let here = TestEnv::new().await;
    let there = other_namespace(&here).await;
    let (a, b) = (&here.namespace, &there.namespace);
    let (mut leader, lease) = replica(&here, &format!("{a},{b}")).await;
    leader.ready().await;

    for same in [format!("{b},{a}"), format!(" {a} , {b} "), format!("{a},{b},{a}"), format!("{b}, {a},{b}")]
    {
        let (mut other, its) = replica(&here, &same).await;
        assert_eq!(its, lease, "of {same:?}");
        // A standby is ready too, and has read the Lease by then.
        other.ready().await;
        let begun = Instant::now();
        let leads = loop {
            if let Some(leads) = metric(&mut other, "cde_operator_leader", &[("lease", &lease)]).await {
                break leads;
            }
            assert!(begun.elapsed() < LIMIT, "the log does not say whether it leads");
            tokio::time::sleep(POLL).await;
        };
        assert_eq!(leads.to_string(), "0", "{same:?} has another leader");
    }

    for other in [a.clone(), b.clone()] {
        let (_operator, its) = replica(&here, &other).await;
        assert_ne!(its, lease, "{other:?} is another share of the work");
    }
}

/// Fault 45: a namespace that is named twice is watched once.
#[tokio::test]
async fn a_namespace_that_is_listed_twice_is_watched_once() {
    let env = TestEnv::new().await;
    let proxy = cde_sandbox::proxy::Proxy::start(&env.control_plane).await.unwrap();
    let twice = format!("{0}, {0}", env.namespace);

    let _operator = env.start_behind(&proxy, Flags::default().with("--namespaces", &twice)).await;

    for plural in crate::faults::proxied::PLURALS {
        assert_eq!(proxy.count(&crate::faults::request::lists(plural)), 1, "lists of {plural}");
    }
}
