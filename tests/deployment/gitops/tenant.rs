//! An operator for one tenant, as `deploy/examples/tenant` installs it.

use std::time::Instant;

use serde_json::Value;

use crate::tools::test_env;
use cde_harness::{LIMIT, POLL, TestEnv};

fn path(relative: &str) -> String {
    format!("{}/deploy/examples/tenant{relative}", env!("CARGO_MANIFEST_DIR"))
}

async fn rendered(env: &TestEnv, relative: &str) -> Vec<Value> {
    let yaml = env.kubectl(&["kustomize", &path(relative)], "").await;
    serde_saphyr::from_multiple(&yaml).unwrap()
}

fn names(objects: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let name = |object: &Value| {
        format!(
            "{} {}/{}",
            text(&object["kind"]),
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"])
        )
    };
    let mut all: Vec<String> = objects.iter().map(name).collect();
    all.sort();
    all
}

#[tokio::test]
async fn the_operator_of_a_tenant_has_only_one_object_outside_its_own_namespace() {
    let env = test_env().await;
    let objects = rendered(&env, "").await;
    let (config, others): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object["kind"] == "ConfigMap");
    let expected = [
        "Deployment cde-team-a/cde-operator",
        "Namespace -/cde-team-a",
        "Namespace -/team-a",
        "Role cde-team-a/cde-operator-leases",
        "RoleBinding cde-team-a/cde-operator-leases",
        "RoleBinding team-a/cde-operator",
        "ServiceAccount cde-team-a/cde-operator",
    ];
    assert_eq!(names(&others), expected);
    assert_eq!(config.len(), 1);
    assert_eq!(config[0]["metadata"]["namespace"], "cde-team-a");
    assert_eq!(config[0]["data"]["CDE_NAMESPACES"], "team-a");
    for binding in others.iter().filter(|object| object["kind"] == "RoleBinding") {
        assert_eq!(binding["subjects"][0]["namespace"], "cde-team-a", "{binding}");
    }
    let shared = names(&rendered(&env, "/shared").await);
    let kinds: Vec<&str> = shared.iter().filter_map(|name| name.split(' ').next()).collect();
    let (role, crd) = ("ClusterRole", "CustomResourceDefinition");
    let (policy, binding) = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding");
    assert_eq!(kinds, [role, role, role, crd, crd, policy, policy, binding, binding]);
}

#[tokio::test]
async fn the_operator_of_a_tenant_may_read_only_the_requests_of_that_tenant() {
    let env = test_env().await;
    env.control_plane.kubectl_ok(&["apply", "--validate=strict", "-k", &path("")], "").await.unwrap();
    let may = async |verb: &str, resource: &str, namespace: &str| {
        // A flag names a subresource.
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let user = "--as=system:serviceaccount:cde-team-a:cde-operator";
        let args = ["auth", "can-i", verb, resource, "-n", namespace, user, &subresource];
        env.control_plane.kubectl_ok(&args, "").await.is_ok()
    };
    let begun = Instant::now();
    while !may("watch", "migrationrollbacks", "team-a").await || !may("create", "leases", "cde-team-a").await
    {
        assert!(begun.elapsed() < LIMIT, "its bindings are not in force");
        tokio::time::sleep(POLL).await;
    }
    for (verb, resource, namespace, expected) in [
        ("update", "migrationrollbacks/status", "team-a", true),
        ("list", "connectorrestores", "team-a", true),
        ("list", "connectorrestores", &env.namespace, false),
        ("list", "migrationrollbacks", "cde-team-a", false),
        ("update", "migrationrollbacks/status", &env.namespace, false),
        ("create", "leases", "team-a", false),
        ("get", "secrets", "cde-team-a", false),
    ] {
        assert_eq!(may(verb, resource, namespace).await, expected, "{verb} {resource} in {namespace}");
    }
}
