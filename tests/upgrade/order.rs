//! The operator comes first, the definitions later.

use std::time::Instant;

use serde_json::Value;

use crate::cast::{BOTH, lands};
use crate::version::Version;
use crate::world::{LIMIT, POLL, Plane, Request, World};

const CLAIM: &str =
    "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/operation/properties";

#[tokio::test]
async fn an_operator_ahead_of_its_definitions_claims_nothing_and_says_what_to_apply() {
    let world = World::on(Plane::own().await).await;
    define_without_claims(&world).await;
    let mut operator = world.start(Version::Present.replica("new", "5s").await.unready()).await;
    let said = operator.says("nothing is claimed").await;
    assert!(said.contains("inFlight: apply crds/"), "{said}");
    let [early, late] = ["early", "late"].map(|what| BOTH.map(|kind| Request::new(kind, what)));
    for request in early.iter().chain(&late) {
        world.sandbox.put(request.willing());
    }
    apply(&world, &early).await;
    let (code, why) = operator.probe("/readyz").await.unwrap();
    assert!(code == 503 && why.contains("too old: apply crds/"), "{code} {why}");
    assert!(!operator.log().contains("the Lease"), "it would take the work from one that can do it");
    for request in &early {
        let object = world.look(request.kind, &request.name).await;
        assert_eq!(object.status()["observedGeneration"], -1, "{object:#?}");
    }
    assert_eq!(world.sandbox.ledger().total(), 0);

    // Those of the earlier commit have all fields; the present ones may come at any later time.
    Version::Earlier.define(&world).await;
    operator.ready().await;
    let mut records = Vec::new();
    for request in &early {
        lands(&world, request, 1, "Response").await;
        records.push(world.look(request.kind, &request.name).await);
    }
    Version::Present.define(&world).await;
    apply(&world, &late).await;
    for request in &late {
        lands(&world, request, 1, "Response").await;
    }
    for (request, record) in early.iter().zip(records) {
        assert_eq!(world.look(request.kind, &request.name).await.0, record.0);
    }
}

/// The definitions of the earlier commit, older still: they would drop each claim without a word.
async fn define_without_claims(world: &World) {
    let path = Version::Earlier.path("crds").await;
    let kustomize = ["kustomize", path.to_str().expect("a path that is text")];
    let yaml = world.plane.kubectl_ok(&kustomize, "").await.unwrap();
    let definitions: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    for mut definition in definitions {
        let operation = definition.pointer_mut(CLAIM).expect("the operation").as_object_mut().unwrap();
        operation.remove("inFlight").expect("the claim");
        world.plane.kubectl_ok(&["apply", "-f", "-"], &definition.to_string()).await.unwrap();
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    world.plane.kubectl_ok(&established, "").await.unwrap();
}

/// A kind is served a little after its definition says so.
async fn apply(world: &World, requests: &[Request]) {
    for request in requests {
        let begun = Instant::now();
        while let Err(refusal) = world.try_kubectl(&["apply", "-f", "-"], &request.manifest().yaml()).await {
            assert!(begun.elapsed() < LIMIT, "{refusal}");
            tokio::time::sleep(POLL).await;
        }
    }
}
