//! Whether the API server allows what `run` does: a `SelfSubjectAccessReview` for each right.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::api::{GROUP, crds};
use crate::config::RunArgs;
use crate::text::describe;

use super::Finding;

/// One right that `run` needs.
#[derive(Clone, Debug)]
struct Right {
    verb: &'static str,
    group: &'static str,
    /// With its subresource after a slash.
    resource: String,
    /// All of them unless named.
    namespace: Option<String>,
}

/// A finding for each right that an operator with `args` needs, whose own namespace is `home`.
pub(super) async fn findings(client: &Client, args: &RunArgs, home: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for right in needed(args, home) {
        findings.push(Finding::new("right", right.held(client).await));
    }
    findings
}

/// The same as the roles of `deploy/rbac` give.
fn needed(args: &RunArgs, home: &str) -> Vec<Right> {
    let mut rights = Vec::new();
    for namespace in args.watched() {
        let mut need = |verb, group, resource: String| {
            rights.push(Right { verb, group, resource, namespace: namespace.clone() });
        };
        for kind in crds().into_iter().map(|crd| crd.spec.names.plural) {
            for verb in ["get", "list", "watch"] {
                need(verb, GROUP, kind.clone());
            }
            need("update", GROUP, format!("{kind}/status"));
        }
        need("create", "events.k8s.io", "events".to_owned());
    }
    // About changes of the circuit breaker, on the operator's own Pod.
    let (group, resource) = ("events.k8s.io", "events".to_owned());
    rights.push(Right { verb: "create", group, resource, namespace: Some(home.to_owned()) });
    if args.leader_election {
        rights.extend(["get", "create", "patch"].map(|verb| Right {
            verb,
            group: "coordination.k8s.io",
            resource: "leases".to_owned(),
            namespace: Some(home.to_owned()),
        }));
    }
    rights
}

impl Right {
    async fn held(&self, client: &Client) -> Result<String, String> {
        let place = match &self.namespace {
            Some(namespace) => format!("in namespace {namespace}"),
            None => "in all namespaces".to_owned(),
        };
        let right = format!("{} {} {place}", self.verb, self.resource);
        let review = SelfSubjectAccessReview { spec: self.question(), ..Default::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let answer = reviews
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| format!("{right}: the API server does not say: {}", describe(&error)))?;
        if answer.status.is_some_and(|status| status.allowed) {
            Ok(right)
        } else {
            Err(format!("{right}: not allowed; apply deploy/rbac, or the roles of the chart"))
        }
    }

    fn question(&self) -> SelfSubjectAccessReviewSpec {
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
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() }
    }
}
