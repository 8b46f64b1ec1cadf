//! The local control plane as its users see it: kubectl, clients, service accounts, outages and a killed owner.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests panic on unexpected results")]

use std::time::{Duration, Instant};

use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::process;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_mins(1);

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < LIMIT, "after {LIMIT:?} it still does not hold that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> kube::Result<K>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await
}

async fn namespace(client: &Client, name: &str, labels: Value) {
    create(&Api::<Namespace>::all(client.clone()), json!({"metadata": {"name": name, "labels": labels}}))
        .await
        .unwrap();
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not a response of the API server: {other}"),
    }
}

#[tokio::test]
async fn kubectl_and_the_server_have_the_pinned_version() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let answer = control_plane.kubectl_ok(&["version", "--output=json"], "").await.unwrap();
    let versions: Value = serde_json::from_str(&answer).unwrap();
    let text = |side: &str, what: &str| versions[side][what].as_str().unwrap().to_owned();
    assert_eq!(text("clientVersion", "gitVersion"), text("serverVersion", "gitVersion"));
    assert_eq!(text("serverVersion", "major"), "1");
}

#[tokio::test]
async fn kubectl_reads_its_input_and_keeps_its_cache_in_the_scratch_directory() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let manifest =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "from-input"}}).to_string();
    let answer = control_plane.kubectl_ok(&["apply", "-f", "-"], &manifest).await.unwrap();
    assert_eq!(answer, "namespace/from-input created\n");
    assert!(control_plane.dir().join("home/.kube/cache").is_dir());
}

#[tokio::test]
async fn the_error_of_a_failing_kubectl_is_quoted() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let error = control_plane.kubectl_ok(&["get", "ns", "nowhere"], "").await.unwrap_err().to_string();
    assert!(error.contains("`kubectl get ns nowhere` failed") && error.contains("NotFound"), "{error}");
}

#[tokio::test]
async fn a_service_account_has_the_permissions_of_its_role_and_no_others() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let admin = control_plane.admin().await.unwrap();
    namespace(&admin, "accounts", json!({})).await;
    control_plane.kubectl_ok(&["create", "serviceaccount", "reader", "-n", "accounts"], "").await.unwrap();
    for what in [
        "create role read --verb=get,list --resource=configmaps",
        "create rolebinding read --role=read --serviceaccount=accounts:reader",
    ] {
        let args: Vec<&str> = what.split(' ').chain(["-n", "accounts"]).collect();
        control_plane.kubectl_ok(&args, "").await.unwrap();
    }

    let kubeconfig = control_plane.service_account("accounts", "reader", None).await.unwrap();
    let reader = control_plane.client(&kubeconfig).await.unwrap();
    let config_maps = Api::<ConfigMap>::namespaced(reader.clone(), "accounts");
    eventually("the binding is known to the authorizer", async || {
        config_maps.list(&ListParams::default()).await.is_ok()
    })
    .await;
    let refused = create(&config_maps, json!({"metadata": {"name": "new"}})).await.unwrap_err();
    assert_eq!(code(&refused), 403);
    let elsewhere =
        Api::<ConfigMap>::namespaced(reader, "default").list(&ListParams::default()).await.unwrap_err();
    assert_eq!(code(&elsewhere), 403);
    let missing = control_plane.service_account("accounts", "nobody", None).await.unwrap_err().to_string();
    assert!(missing.contains("no token for the service account accounts/nobody"), "{missing}");
}

#[tokio::test]
async fn admission_enforces_the_pod_security_standard_of_a_namespace() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let admin = control_plane.admin().await.unwrap();
    namespace(&admin, "restricted", json!({"pod-security.kubernetes.io/enforce": "restricted"})).await;
    control_plane.kubectl_ok(&["create", "serviceaccount", "default", "-n", "restricted"], "").await.unwrap();
    let pod = json!({"metadata": {"name": "plain"}, "spec": {"containers": [{"name": "main", "image": "example"}]}});
    let error = create(&Api::<Pod>::namespaced(admin, "restricted"), pod).await.unwrap_err();
    assert_eq!(code(&error), 403);
    assert!(error.to_string().contains("PodSecurity"), "{error}");
}

#[tokio::test]
async fn the_audit_log_has_each_request_with_its_status_code() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let admin = control_plane.admin().await.unwrap();
    namespace(&admin, "audited", json!({})).await;
    let leases = Api::<Lease>::namespaced(admin.clone(), "audited");
    create(&leases, json!({"metadata": {"name": "mine"}})).await.unwrap();
    create(&leases, json!({"metadata": {"name": "mine"}})).await.unwrap_err();
    leases.get("mine").await.unwrap();
    create(&Api::<ConfigMap>::namespaced(admin, "audited"), json!({"metadata": {"name": "unheeded"}}))
        .await
        .unwrap();

    let seen = || {
        control_plane
            .audit()
            .unwrap()
            .into_iter()
            .filter(|event| event.namespace == "audited")
            .collect::<Vec<_>>()
    };
    eventually("all three are in the log", async || seen().len() >= 3).await;
    let told: Vec<_> =
        seen().iter().map(|event| (event.verb.clone(), event.name.clone(), event.code)).collect();
    let expected = [("create", "mine", 201), ("create", "mine", 409), ("get", "mine", 200)];
    assert_eq!(told, expected.map(|(verb, name, code)| (verb.to_owned(), name.to_owned(), code)));
    for event in seen() {
        let facts =
            (event.user.as_str(), event.group.as_str(), event.resource.as_str(), event.subresource.as_str());
        assert_eq!(facts, ("admin", "coordination.k8s.io", "leases", ""));
    }
}

#[tokio::test]
async fn two_control_planes_run_side_by_side_and_a_dropped_one_is_gone() {
    let shared = ControlPlane::shared().await.unwrap();
    let own = ControlPlane::start().await.unwrap();
    assert_ne!(own.url(), shared.url());
    namespace(&own.admin().await.unwrap(), "only-here", json!({})).await;
    let there = Api::<Namespace>::all(shared.admin().await.unwrap()).get_opt("only-here").await.unwrap();
    assert!(there.is_none());

    let (ids, dir) = (own.process_ids(), own.dir().to_owned());
    assert!(ids.len() == 2 && ids.iter().all(|id| process::is_running(*id)) && dir.exists());
    drop(own);
    assert!(!ids.iter().any(|id| process::is_running(*id)) && !dir.exists());
}

#[tokio::test]
async fn data_port_and_tokens_survive_an_outage() {
    let control_plane = ControlPlane::start().await.unwrap();
    let admin = control_plane.admin().await.unwrap();
    let namespaces = Api::<Namespace>::all(admin.clone());
    namespace(&admin, "kept", json!({})).await;

    control_plane.stop_api_server().unwrap();
    assert!(matches!(
        namespaces.get("kept").await.unwrap_err(),
        kube::Error::HyperError(_) | kube::Error::Service(_)
    ));
    control_plane.start_api_server().await.unwrap();
    namespaces.get("kept").await.unwrap();

    control_plane.stop_etcd().unwrap();
    assert_eq!(control_plane.process_ids().len(), 1);
    control_plane.start_etcd().await.unwrap();
    namespaces.get("kept").await.unwrap();
    namespace(&admin, "after", json!({})).await;
}
