//! Who may do what, according to the API server's authorizer.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::deploy::fixture::{
    OPERATOR_NAMESPACE, REQUEST_NAMESPACE, eventually, installed, object, rendered,
};

const CDE: &str = "cde.productsup.com";
const KINDS: [&str; 2] = ["connectorrestores", "migrationrollbacks"];

/// Group, resource, verb.
type Permission = (String, String, String);

/// Returns a client of the operator's service account, whose bindings are in force.
async fn operator() -> Client {
    let control_plane = installed().await;
    let kubeconfig = control_plane.service_account(OPERATOR_NAMESPACE, "cde-operator", None).await.unwrap();
    let client = control_plane.client(&kubeconfig).await.unwrap();
    eventually("the operator's bindings are in force", async || {
        may(&client, "create", "coordination.k8s.io", "leases", OPERATOR_NAMESPACE).await
            && may(&client, "list", CDE, "connectorrestores", "").await
    })
    .await;
    client
}

/// Returns whether the client may do this. `resource` may name a subresource, and an empty namespace means all.
pub(crate) async fn may(client: &Client, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let text = |text: &str| Some(text.to_owned());
    let attributes = ResourceAttributes {
        verb: text(verb),
        group: text(group),
        resource: text(resource),
        subresource: text(subresource),
        namespace: text(namespace),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// Returns everything that the client may do with resources in a namespace, except the self reviews that all users may
/// create.
async fn permissions(client: &Client, namespace: &str) -> BTreeSet<Permission> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let review = SelfSubjectRulesReview { spec, ..Default::default() };
    let answer = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    let mut permissions = BTreeSet::new();
    for rule in answer.resource_rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                permissions
                    .extend(rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone())));
            }
        }
    }
    permissions.retain(|(_, resource, _)| !resource.starts_with("selfsubject"));
    permissions
}

fn expand(table: &[(&str, &[&str], &[&str])]) -> BTreeSet<Permission> {
    let mut permissions = BTreeSet::new();
    for (group, resources, verbs) in table {
        for resource in *resources {
            permissions.extend(
                verbs.iter().map(|verb| ((*group).to_owned(), (*resource).to_owned(), (*verb).to_owned())),
            );
        }
    }
    permissions
}

#[tokio::test]
async fn the_operator_has_exactly_these_permissions() {
    let operator = operator().await;
    let mut expected = expand(&[
        (CDE, &KINDS, &["get", "list", "watch"]),
        (CDE, &["connectorrestores/status", "migrationrollbacks/status"], &["update"]),
        ("events.k8s.io", &["events"], &["create"]),
    ]);
    assert_eq!(permissions(&operator, REQUEST_NAMESPACE).await, expected);
    expected.extend(expand(&[("coordination.k8s.io", &["leases"], &["get", "create", "patch"])]));
    assert_eq!(permissions(&operator, OPERATOR_NAMESPACE).await, expected);
}

#[tokio::test]
async fn the_operator_writes_status_and_events_everywhere_and_leases_in_its_namespace() {
    let operator = operator().await;
    for (verb, group, resource, namespace) in [
        ("list", CDE, "connectorrestores", ""),
        ("watch", CDE, "migrationrollbacks", ""),
        ("update", CDE, "connectorrestores/status", REQUEST_NAMESPACE),
        ("update", CDE, "migrationrollbacks/status", REQUEST_NAMESPACE),
        ("create", "events.k8s.io", "events", REQUEST_NAMESPACE),
        ("patch", "coordination.k8s.io", "leases", OPERATOR_NAMESPACE),
    ] {
        assert!(may(&operator, verb, group, resource, namespace).await, "{verb} {resource} in {namespace:?}");
    }
}

#[tokio::test]
async fn the_operator_may_not_change_requests_read_secrets_or_use_leases_elsewhere() {
    let operator = operator().await;
    for (verb, group, resource, namespace) in [
        ("create", CDE, "migrationrollbacks", REQUEST_NAMESPACE),
        ("update", CDE, "migrationrollbacks", REQUEST_NAMESPACE),
        ("patch", CDE, "connectorrestores", REQUEST_NAMESPACE),
        ("delete", CDE, "connectorrestores", REQUEST_NAMESPACE),
        ("deletecollection", CDE, "migrationrollbacks", REQUEST_NAMESPACE),
        ("get", "", "secrets", OPERATOR_NAMESPACE),
        ("list", "", "secrets", REQUEST_NAMESPACE),
        ("get", "", "configmaps", OPERATOR_NAMESPACE),
        ("delete", "events.k8s.io", "events", REQUEST_NAMESPACE),
        ("get", "coordination.k8s.io", "leases", REQUEST_NAMESPACE),
        ("delete", "coordination.k8s.io", "leases", OPERATOR_NAMESPACE),
        ("update", "apiextensions.k8s.io", "customresourcedefinitions", ""),
        ("create", "", "serviceaccounts/token", OPERATOR_NAMESPACE),
    ] {
        assert!(
            !may(&operator, verb, group, resource, namespace).await,
            "{verb} {resource} in {namespace:?}"
        );
    }
}

fn rules(role: &Value) -> BTreeSet<Permission> {
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut permissions = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                let verbs = texts(&rule["verbs"]).into_iter();
                permissions.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    permissions
}

fn aggregated_into(role: &Value) -> Vec<String> {
    let labels = role["metadata"]["labels"].as_object().unwrap();
    let into = labels.iter().filter(|(_, value)| **value == json!("true"));
    into.filter_map(|(key, _)| key.strip_prefix("rbac.authorization.k8s.io/aggregate-to-").map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn users_who_may_view_a_namespace_may_read_its_requests_and_nothing_more() {
    let role = object("ClusterRole", "cde-operator-view").await;
    assert_eq!(rules(&role), expand(&[(CDE, &KINDS, &["get", "list", "watch"])]));
    assert_eq!(aggregated_into(&role), ["admin", "edit", "view"]);
}

#[tokio::test]
async fn the_requester_role_is_not_aggregated_and_has_no_permission_on_status() {
    let role = object("ClusterRole", "cde-operator-requester").await;
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    assert_eq!(rules(&role), expand(&[(CDE, &KINDS, &verbs)]));
    assert_eq!(aggregated_into(&role), [""; 0]);
}

#[tokio::test]
async fn only_the_operator_is_bound_to_a_role() {
    for object in rendered("deploy").await {
        if object["kind"].as_str().unwrap().ends_with("RoleBinding") {
            let operator =
                json!([{"kind": "ServiceAccount", "name": "cde-operator", "namespace": OPERATOR_NAMESPACE}]);
            assert_eq!(object["subjects"], operator);
        }
    }
}

#[tokio::test]
async fn a_requester_may_create_requests_and_may_not_write_their_status() {
    let control_plane = installed().await;
    let namespace = "requests-of-a-team";
    for command in [
        "create namespace requests-of-a-team",
        "create serviceaccount requester -n requests-of-a-team",
        "create rolebinding requesters -n requests-of-a-team --clusterrole=cde-operator-requester \
         --serviceaccount=requests-of-a-team:requester",
    ] {
        control_plane.kubectl_ok(&command.split_whitespace().collect::<Vec<_>>(), "").await.unwrap();
    }
    let kubeconfig = control_plane.service_account(namespace, "requester", None).await.unwrap();
    let requester = control_plane.client(&kubeconfig).await.unwrap();
    eventually("the requester's binding is in force", async || {
        may(&requester, "create", CDE, "migrationrollbacks", namespace).await
    })
    .await;
    for (verb, resource, namespace) in [
        ("update", "migrationrollbacks/status", namespace),
        ("patch", "connectorrestores/status", namespace),
        ("create", "migrationrollbacks", REQUEST_NAMESPACE),
    ] {
        assert!(!may(&requester, verb, CDE, resource, namespace).await, "{verb} {resource} in {namespace}");
    }
}
