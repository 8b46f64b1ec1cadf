//! The components in `deploy/components`, each on the base as a team would use it, and all of them together.

use std::collections::BTreeMap;

use cde_sandbox::cde::new_id;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::deploy::fixture::{OPERATOR_NAMESPACE, REQUEST_NAMESPACE, path, rendered};
use crate::deploy::others;

/// The component login changes the `NetworkPolicy` of another component, so it comes last.
const COMPONENTS: [&str; 6] =
    ["extra-ca", "high-availability", "namespaced", "network-policy", "pod-monitor", "login"];
/// Other network policies, of which an operator has one. That of Cilium in login mode comes after the one without a login.
const PRESETS: [&str; 4] = [
    "network-policy-cilium",
    "network-policy-cilium-login",
    "network-policy-ingress",
    "network-policy-openshift",
];
const EXAMPLE: &str = "deploy/examples/overlay";
/// The literals that an overlay must set, and those of a login.
const LITERALS: [&str; 4] = [
    "CDE_URL=https://cde.example.com",
    "CDE_OAUTH_CLIENT_ID=cde-operator",
    "CDE_OAUTH_TOKEN_URL=https://login.example.com/oauth2/token",
    "CDE_OAUTH_AUTHORIZATION_URL=https://login.example.com/oauth2/authorize",
];

/// Returns the base with these components, in an overlay outside of the repository, after the API server has accepted
/// it.
async fn with(components: &[&str]) -> Vec<Value> {
    let literals = if components.contains(&"login") { &LITERALS[..] } else { &LITERALS[..1] };
    let components: Vec<String> =
        components.iter().map(|component| format!("cde-operator/deploy/components/{component}")).collect();
    let kustomization = json!({
        "resources": ["cde-operator/deploy"],
        "components": components,
        "configMapGenerator": [{
            "name": "cde-operator", "namespace": OPERATOR_NAMESPACE, "behavior": "merge", "literals": literals,
        }],
    });
    overlay(&kustomization.to_string()).await
}

/// As [`accepted`], for the text of a kustomization next to a copy of this repository in `cde-operator`.
async fn overlay(kustomization: &str) -> Vec<Value> {
    let control_plane = others::installed().await;
    // Kustomize takes relative paths only. Both are below the root.
    let up = "../".repeat(control_plane.dir().components().count());
    let repository = format!("{up}{}", path("").trim_matches('/'));
    let directory = control_plane.dir().join(new_id().to_string());
    std::fs::create_dir(&directory).unwrap();
    let kustomization = kustomization.replace("cde-operator/deploy", &format!("{repository}/deploy"));
    std::fs::write(directory.join("kustomization.yaml"), kustomization).unwrap();
    accepted(directory.to_str().unwrap()).await
}

/// Returns all objects of a kustomization, after the API server has accepted each one as a dry run.
async fn accepted(overlay: &str) -> Vec<Value> {
    let control_plane = others::installed().await;
    let yaml = control_plane.kubectl_ok(&["kustomize", overlay], "").await.unwrap();
    let apply = ["apply", "-f", "-", "--dry-run=server", "--validate=strict"];
    let told = control_plane.kubectl_ok(&apply, &yaml).await.unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    assert_eq!(
        told.lines().filter(|line| line.ends_with("(server dry run)")).count(),
        objects.len(),
        "{told}"
    );
    objects
}

/// Returns the base with each component, and with several, by their names.
pub(crate) async fn every_rendering() -> Vec<(String, Vec<Value>)> {
    let mut all = Vec::new();
    for components in [
        &COMPONENTS[..],
        &["network-policy-cilium", "network-policy-cilium-login", "login"],
        &["network-policy-ingress"],
        &["network-policy-openshift", "high-availability"],
    ] {
        all.push((components.join(", "), with(components).await));
    }
    all
}

fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let all = of(objects, kind);
    assert_eq!(all.len(), 1, "{kind}");
    all[0]
}

fn pod(objects: &[Value]) -> &Value {
    &only(objects, "Deployment")["spec"]["template"]
}

fn variables(objects: &[Value]) -> BTreeMap<String, String> {
    serde_json::from_value(only(objects, "ConfigMap")["data"].clone()).unwrap()
}

/// Returns the bindings of the operator's permissions on requests: kind, namespace, kind of role.
fn bindings(objects: &[Value]) -> Vec<(&str, Option<&str>, &str)> {
    let all = objects.iter().filter(|one| one["kind"].as_str().unwrap().ends_with("RoleBinding"));
    let of_requests = all.filter(|one| one["roleRef"]["name"] == "cde-operator");
    of_requests
        .map(|one| {
            let kind = one["kind"].as_str().unwrap();
            (kind, one["metadata"]["namespace"].as_str(), one["roleRef"]["kind"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn namespaced_grants_permissions_only_in_the_watched_namespace() {
    assert_eq!(bindings(&rendered("deploy").await), [("ClusterRoleBinding", None, "ClusterRole")]);
    let objects = with(&["namespaced"]).await;
    assert_eq!(variables(&objects)["CDE_NAMESPACES"], REQUEST_NAMESPACE);
    assert_eq!(bindings(&objects), [("RoleBinding", Some(REQUEST_NAMESPACE), "ClusterRole")]);
    let operator =
        json!([{"kind": "ServiceAccount", "name": "cde-operator", "namespace": OPERATOR_NAMESPACE}]);
    for binding in of(&objects, "RoleBinding") {
        assert_eq!(binding["subjects"], operator);
    }
}

#[tokio::test]
async fn high_availability_has_two_replicas_and_keeps_one_available() {
    let objects = with(&["high-availability"]).await;
    assert_eq!(only(&objects, "Deployment")["spec"]["replicas"], 2);
    assert_eq!(variables(&objects)["CDE_LEADER_ELECTION"], "true");
    let labels = &pod(&objects)["metadata"]["labels"];
    let budget = &only(&objects, "PodDisruptionBudget")["spec"];
    assert_eq!((&budget["minAvailable"], &budget["selector"]["matchLabels"]), (&json!(1), labels));
    let spread = &pod(&objects)["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["labelSelector"]["matchLabels"], *labels);
}

#[tokio::test]
async fn the_network_policy_covers_both_directions_of_the_pods_of_the_operator() {
    let objects = with(&["network-policy"]).await;
    let spec = &only(&objects, "NetworkPolicy")["spec"];
    assert_eq!(spec["podSelector"]["matchLabels"], pod(&objects)["metadata"]["labels"]);
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    for rule in spec["egress"].as_array().unwrap() {
        assert!(rule["to"].is_array() && rule["ports"].is_array(), "{rule}");
    }
}

/// Returns the only object of a kind with this name.
fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found: Vec<&Value> =
        of(objects, kind).into_iter().filter(|one| one["metadata"]["name"] == name).collect();
    assert_eq!(found.len(), 1, "{kind} {name}");
    found[0]
}

#[tokio::test]
async fn the_policy_for_openshift_differs_only_in_where_dns_is() {
    let mut usual = only(&with(&["network-policy"]).await, "NetworkPolicy").clone();
    let mut openshift = only(&with(&["network-policy-openshift"]).await, "NetworkPolicy").clone();
    let dns = openshift["spec"]["egress"][0].take();
    let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}});
    assert_eq!(dns["to"], json!([{"namespaceSelector": namespace}]));
    let ports = json!([{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}]);
    assert_eq!(dns["ports"], ports);
    usual["spec"]["egress"][0].take();
    assert_eq!(openshift, usual);
}

#[tokio::test]
async fn the_policy_for_ingress_leaves_egress_alone_also_with_a_login() {
    let usual = only(&with(&["network-policy", "extra-ca"]).await, "NetworkPolicy")["spec"].clone();
    let objects = with(&["network-policy-ingress", "login"]).await;
    let spec = &only(&objects, "NetworkPolicy")["spec"];
    assert_eq!((&spec["policyTypes"], spec.get("egress")), (&json!(["Ingress"]), None));
    for same in ["podSelector", "ingress"] {
        assert_eq!(spec[same], usual[same]);
    }
}

#[tokio::test]
async fn the_policy_for_cilium_names_the_api_server_and_the_hosts_of_the_literals() {
    let objects = with(&["network-policy-cilium", "network-policy-cilium-login", "login"]).await;
    let ingress = named(&objects, "NetworkPolicy", "cde-operator-ingress");
    assert_eq!(ingress["spec"]["policyTypes"], json!(["Ingress"]));
    let spec = &only(&objects, "CiliumNetworkPolicy")["spec"];
    assert_eq!(spec["endpointSelector"]["matchLabels"], pod(&objects)["metadata"]["labels"]);
    let egress = spec["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 4);
    assert_eq!(egress[0]["toPorts"][0]["rules"]["dns"], json!([{"matchPattern": "*"}]));
    assert_eq!(egress[1]["toEntities"], json!(["kube-apiserver"]));
    for (rule, host) in [(2, "cde.example.com"), (3, "login.example.com")] {
        assert_eq!(egress[rule]["toFQDNs"], json!([{"matchName": host}]));
        assert_eq!(egress[rule]["toPorts"][0]["ports"], json!([{"port": "443", "protocol": "TCP"}]));
    }
}

#[tokio::test]
async fn the_pod_monitor_selects_the_metrics_port_of_the_pods() {
    let objects = with(&["pod-monitor"]).await;
    let spec = &only(&objects, "PodMonitor")["spec"];
    assert_eq!(spec["selector"]["matchLabels"], pod(&objects)["metadata"]["labels"]);
    assert_eq!(
        spec["podMetricsEndpoints"][0]["port"],
        pod(&objects)["spec"]["containers"][0]["ports"][0]["name"]
    );
}

#[tokio::test]
async fn a_ca_bundle_is_mounted_where_the_operator_is_configured_to_read_it() {
    let objects = with(&["extra-ca"]).await;
    let spec = &pod(&objects)["spec"];
    let volumes: Vec<&Value> = spec["volumes"].as_array().unwrap().iter().collect();
    let mounts = spec["containers"][0]["volumeMounts"].as_array().unwrap();
    assert_eq!((volumes.len(), mounts.len()), (2, 2), "the mount of the token stays");
    let volume = volumes.iter().find(|volume| volume["configMap"]["name"] == "cde-operator-ca").unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).unwrap();
    let file = &volume["configMap"]["items"][0]["path"];
    let expected = format!("{}/{}", mount["mountPath"].as_str().unwrap(), file.as_str().unwrap());
    assert_eq!(variables(&objects)["CDE_CA_FILE"], expected);
}

/// Returns the base with the component login.
pub(crate) async fn login() -> &'static [Value] {
    static LOGIN: OnceCell<Vec<Value>> = OnceCell::const_new();
    LOGIN.get_or_init(|| with(&["login"])).await
}

#[tokio::test]
async fn a_login_replaces_the_token_file_and_its_mount() {
    let objects = login().await;
    let spec = &pod(objects)["spec"];
    let container = &spec["containers"][0];
    for list in [&spec["volumes"], &container["volumeMounts"]] {
        assert!(list.as_array().is_none_or(Vec::is_empty), "{list}");
    }
    let variables = variables(objects);
    assert_eq!(
        (&*variables["CDE_OAUTH_SECRET"], variables.get("CDE_TOKEN_FILE")),
        ("cde-operator-login", None)
    );
    assert_eq!(variables["CDE_LEADER_ELECTION"], "true", "the other literals of the base stay");
    assert!(spec["terminationGracePeriodSeconds"].as_u64().unwrap() >= 30 + 10);
}

#[tokio::test]
async fn a_login_grants_access_to_its_secret_only() {
    let objects = login().await;
    let named = |kind| {
        let mut found = of(objects, kind).into_iter();
        found.find(|one| one["metadata"]["name"] == "cde-operator-login").unwrap()
    };
    let access = json!({
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cde-operator-login"],
        "verbs": ["get", "list", "watch", "patch"],
    });
    let (role, binding) = (named("Role"), named("RoleBinding"));
    assert_eq!(role["rules"], json!([access]));
    for object in [role, binding] {
        assert_eq!(object["metadata"]["namespace"], OPERATOR_NAMESPACE);
    }
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let operator =
        json!([{"kind": "ServiceAccount", "name": "cde-operator", "namespace": OPERATOR_NAMESPACE}]);
    assert_eq!(binding["subjects"], operator);
}

#[tokio::test]
async fn a_login_adds_its_token_endpoint_to_the_network_policy() {
    let egress =
        |objects: &[Value]| only(objects, "NetworkPolicy")["spec"]["egress"].as_array().unwrap().clone();
    let without = egress(&with(&["network-policy", "high-availability"]).await);
    let objects = with(&["network-policy", "login"]).await;
    let mut rules = egress(&objects);
    let added = rules.pop().unwrap();
    assert_eq!(rules, without);
    assert_eq!(added["ports"], json!([{"protocol": "TCP", "port": 443}]));
    assert!(!added["to"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn all_components_work_together_in_an_overlay_and_in_the_example() {
    let together = with(&COMPONENTS).await;
    let example = accepted(&path(EXAMPLE)).await;
    // The namespace is the only object that the example leaves to others.
    assert_eq!(together.len(), example.len() + 1);
    let told = variables(&example);
    assert_eq!(told["CDE_URL"], "https://cde.example.com");
    assert_eq!(told["HTTPS_PROXY"], "http://proxy.example.com:3128");
    for variable in variables(&together).keys() {
        assert!(told.contains_key(variable), "{variable}");
    }
    let from = &pod(&example)["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"];
    assert_eq!(*from, only(&example, "ConfigMap")["metadata"]["name"]);
    let out = only(&example, "NetworkPolicy")["spec"]["egress"].as_array().unwrap();
    assert_eq!(out.len(), 3, "the proxy stands for the CDE API and the token endpoint");
    assert_eq!(out[2]["ports"], json!([{"protocol": "TCP", "port": 3128}]));
    assert_eq!(
        pod(&example)["spec"]["containers"][0]["image"],
        concat!("registry.example.com/cde-operator:", env!("CARGO_PKG_VERSION"))
    );
}

/// Returns the overlays in the documentation of credentials: one with a login, and one with Vault Agent.
pub(crate) async fn documented() -> &'static [Vec<Value>] {
    static DOCUMENTED: OnceCell<Vec<Vec<Value>>> = OnceCell::const_new();
    let accepted = async || {
        let page = std::fs::read_to_string(path("docs/credentials.md")).unwrap();
        let mut overlays = Vec::new();
        for rest in page.split("# kustomization.yaml\n").skip(1) {
            overlays.push(overlay(rest.split("```").next().unwrap()).await);
        }
        overlays
    };
    DOCUMENTED.get_or_init(accepted).await
}

#[tokio::test]
async fn the_overlays_in_the_page_on_credentials_are_accepted_and_mount_no_token() {
    let mut modes = Vec::new();
    for objects in documented().await {
        let spec = &pod(objects)["spec"];
        assert!(spec["volumes"].as_array().is_none_or(Vec::is_empty), "{}", spec["volumes"]);
        let variables = variables(objects);
        let file = variables.get("CDE_TOKEN_FILE").cloned();
        modes.push((file, variables.contains_key("CDE_OAUTH_TOKEN_URL")));
    }
    assert_eq!(modes, [(None, true), (Some("/vault/secrets/token".to_owned()), false)]);
}

#[test]
fn every_component_is_tested_here_and_those_that_go_together_are_in_the_example() {
    let mut found: Vec<String> = std::fs::read_dir(path("deploy/components"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut tested = [&COMPONENTS[..], &PRESETS].concat();
    tested.sort_unstable();
    assert_eq!(found, tested);
    let example = std::fs::read_to_string(path(&format!("{EXAMPLE}/kustomization.yaml"))).unwrap();
    for component in COMPONENTS {
        assert!(example.contains(&format!("- ../../components/{component}\n")), "{component}");
    }
}
