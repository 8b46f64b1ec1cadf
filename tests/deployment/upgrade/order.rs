//! The operator is upgraded first, and the CRDs later.

use std::time::Instant;

use serde_json::Value;

use crate::tools::own_control_plane;
use crate::upgrade::existing::{BOTH, check_end};
use crate::upgrade::version::Version;
use cde_harness::{LIMIT, POLL, Request, TestEnv};

const CLAIM: &str =
    "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/operation/properties";

#[tokio::test]
async fn an_operator_with_outdated_crds_claims_nothing_and_says_what_to_apply() {
    let env = TestEnv::on(own_control_plane().await).await;
    define_without_claims(&env).await;
    let mut operator = env.start(Version::Present.replica("new", "5s").await.without_readiness_wait()).await;
    let said = operator.wait_for_log("nothing is claimed").await;
    assert!(said.contains("inFlight: apply crds/"), "{said}");
    let [early, late] = ["early", "late"].map(|what| BOTH.map(|kind| Request::new(kind, what)));
    for request in early.iter().chain(&late) {
        env.sandbox.put(request.ready_connector());
    }
    apply(&env, &early).await;
    let (code, why) = operator.probe("/readyz").await.unwrap();
    assert!(code == 503 && why.contains("too old: apply crds/"), "{code} {why}");
    assert!(!operator.log().contains("the Lease"), "it would take the Lease from an operator that can work");
    for request in &early {
        let object = env.get(request.kind, &request.name).await;
        assert_eq!(object.status()["observedGeneration"], -1, "{object:#?}");
    }
    assert_eq!(env.sandbox.ledger().total(), 0);

    Version::Present.define(&env).await;
    operator.ready().await;
    let mut records = Vec::new();
    for request in &early {
        check_end(&env, request, 1, "Response").await;
        records.push(env.get(request.kind, &request.name).await);
    }
    Version::Present.define(&env).await;
    apply(&env, &late).await;
    for request in &late {
        check_end(&env, request, 1, "Response").await;
    }
    for (request, record) in early.iter().zip(records) {
        assert_eq!(env.get(request.kind, &request.name).await.0, record.0);
    }
}

/// Applies the CRDs of the earlier commit without claims, which would silently prune each claim.
async fn define_without_claims(env: &TestEnv) {
    let path = Version::Earlier.path("crds").await;
    let kustomize = ["kustomize", path.to_str().expect("a path that is text")];
    let yaml = env.control_plane.kubectl_ok(&kustomize, "").await.unwrap();
    let definitions: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    for mut definition in definitions {
        let operation = definition.pointer_mut(CLAIM).expect("the operation").as_object_mut().unwrap();
        operation.remove("inFlight").expect("the claim");
        env.control_plane.kubectl_ok(&["apply", "-f", "-"], &definition.to_string()).await.unwrap();
    }
    env.control_plane.wait_for_kinds().await;
}

/// A kind is served shortly after its CRD says so.
async fn apply(env: &TestEnv, requests: &[Request]) {
    for request in requests {
        let begun = Instant::now();
        while let Err(refusal) = env.try_kubectl(&["apply", "-f", "-"], &request.manifest().yaml()).await {
            assert!(begun.elapsed() < LIMIT, "{refusal}");
            tokio::time::sleep(POLL).await;
        }
    }
}
