//! Checks each permission that `run` needs by a `SelfSubjectAccessReview`.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::api::{GROUP, crds};
use crate::config::RunArgs;
use crate::text::describe;

use super::Finding;

/// One permission that `run` needs.
#[derive(Clone, Debug)]
struct Permission {
    verb: &'static str,
    group: &'static str,
    /// The resource, with a subresource after a slash.
    resource: String,
    /// `None` for all namespaces.
    namespace: Option<String>,
    /// The only object that the permission is needed for.
    name: Option<String>,
}

/// Returns a finding for each permission that an operator with `args` in the namespace `home` needs.
pub(super) async fn findings(client: &Client, args: &RunArgs, home: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for permission in needed(args, home) {
        findings.push(Finding::new("permission", permission.review(client).await));
    }
    findings
}

/// Returns the permissions that the roles of `deploy/rbac` grant.
fn needed(args: &RunArgs, home: &str) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for namespace in args.watched() {
        let mut need = |verb, group, resource: String| {
            permissions.push(Permission { verb, group, resource, namespace: namespace.clone(), name: None });
        };
        for kind in crds().into_iter().map(|crd| crd.spec.names.plural) {
            for verb in ["get", "list", "watch"] {
                need(verb, GROUP, kind.clone());
            }
            need("update", GROUP, format!("{kind}/status"));
        }
        need("create", "events.k8s.io", "events".to_owned());
    }
    // For Events about the circuit breaker on the operator's own Pod.
    let (group, resource) = ("events.k8s.io", "events".to_owned());
    permissions.push(Permission {
        verb: "create",
        group,
        resource,
        namespace: Some(home.to_owned()),
        name: None,
    });
    if let Some(secret) = &args.oauth.secret {
        permissions.extend(["get", "list", "watch", "patch"].map(|verb| Permission {
            verb,
            group: "",
            resource: "secrets".to_owned(),
            namespace: Some(home.to_owned()),
            name: Some(secret.clone()),
        }));
    }
    if args.leader_election {
        permissions.extend(["get", "create", "patch"].map(|verb| Permission {
            verb,
            group: "coordination.k8s.io",
            resource: "leases".to_owned(),
            namespace: Some(home.to_owned()),
            name: None,
        }));
    }
    permissions
}

impl Permission {
    async fn review(&self, client: &Client) -> Result<String, String> {
        let place = match &self.namespace {
            Some(namespace) => format!("in namespace {namespace}"),
            None => "in all namespaces".to_owned(),
        };
        let name = self.name.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        let permission = format!("{} {}{name} {place}", self.verb, self.resource);
        let review = SelfSubjectAccessReview { spec: self.review_spec(), ..Default::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let answer = reviews
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| format!("{permission}: the access review failed: {}", describe(&error)))?;
        if answer.status.is_some_and(|status| status.allowed) {
            Ok(permission)
        } else {
            Err(format!("{permission}: not allowed; apply deploy/rbac or the roles of the chart"))
        }
    }

    fn review_spec(&self) -> SelfSubjectAccessReviewSpec {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (self.resource.as_str(), None),
        };
        let attributes = ResourceAttributes {
            verb: Some(self.verb.to_owned()),
            group: Some(self.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() }
    }
}
