//! The permissions follow the watched namespaces.

use serde_json::{Value, json};

use super::{rendered, values};
use crate::deploy::fixture::OPERATOR_NAMESPACE;

/// Returns the kind and namespace of the objects that give the operator permissions on requests.
async fn granted(namespaces: Value) -> Vec<(String, String)> {
    let objects = rendered(&values(json!({"namespaces": namespaces}))).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_requests = |object: &&Value| object["metadata"]["name"] == "cde-operator";
    let roles = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let found = roles.iter().flat_map(|kind| objects.of(kind)).filter(of_requests);
    let mut found: Vec<_> =
        found.map(|object| (text(&object["kind"]), text(&object["metadata"]["namespace"]))).collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(kind, namespace)| (kind.to_owned(), namespace.to_owned())).collect()
}

#[tokio::test]
async fn an_operator_of_all_namespaces_has_a_cluster_role_binding() {
    assert_eq!(granted(json!([])).await, pairs(&[("ClusterRole", ""), ("ClusterRoleBinding", "")]));
}

#[tokio::test]
async fn an_operator_of_some_namespaces_has_a_role_in_each_and_no_other_permission() {
    let expected = [("Role", "a"), ("Role", "b"), ("RoleBinding", "a"), ("RoleBinding", "b")];
    assert_eq!(granted(json!(["a", "b"])).await, pairs(&expected));
}

#[tokio::test]
async fn the_rules_do_not_depend_on_the_number_of_namespaces() {
    let cluster = rendered(&values(json!({}))).await;
    let some = rendered(&values(json!({"namespaces": ["a"]}))).await;
    let rules = &cluster.named("ClusterRole", "cde-operator")["rules"];
    assert_eq!(some.named("Role", "cde-operator")["rules"], *rules);
}

#[tokio::test]
async fn the_lease_role_is_in_the_release_namespace_and_only_with_leader_election() {
    let with = rendered(&values(json!({"namespaces": ["a"]}))).await;
    assert_eq!(with.named("Role", "cde-operator-leases")["metadata"]["namespace"], OPERATOR_NAMESPACE);
    let without = rendered(&values(json!({"leaderElection": false, "rbac": {"userRoles": false}}))).await;
    assert!(without.of("Role").is_empty() && without.of("RoleBinding").is_empty());
    assert_eq!(without.of("ClusterRole").len(), 1);
}

#[tokio::test]
async fn events_about_the_pod_are_always_allowed_in_the_release_namespace() {
    let objects = rendered(&values(json!({"namespaces": ["a"], "leaderElection": false}))).await;
    let role = objects.named("Role", "cde-operator-leases");
    assert_eq!(role["metadata"]["namespace"], OPERATOR_NAMESPACE);
    let events = json!([{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}]);
    assert_eq!(role["rules"], events);
}

#[tokio::test]
async fn roles_and_the_account_can_come_from_elsewhere() {
    let values = values(json!({
        "rbac": {"create": false, "userRoles": false}, "serviceAccount": {"create": false, "name": "granted"},
    }));
    let objects = rendered(&values).await;
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"] {
        assert!(objects.of(kind).is_empty(), "{kind}");
    }
    assert_eq!(objects.pod()["spec"]["serviceAccountName"], "granted");
}
