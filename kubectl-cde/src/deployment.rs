//! The environment variables of the operator, as its Deployment sets them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Container};
use kube::Api;
use kube::api::ListParams;

use crate::cluster::Cluster;
use crate::error::{Call, Error};

/// The label of the operator's Deployment.
const SELECTOR: &str = "app.kubernetes.io/name=cde-operator";
/// The name of the operator's container.
const CONTAINER: &str = "cde-operator";

/// The operator's container.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    /// Its image.
    pub(crate) image: String,
    /// Its environment variables, except those that come from Secrets or fields of the pod.
    pub(crate) environment: BTreeMap<String, String>,
    /// Why a `ConfigMap` with some of the variables could not be read.
    pub(crate) unread: Option<Error>,
}

impl Operator {
    /// Reads the Deployment with this name, or the only one with the operator's label, and its `ConfigMaps`. It needs the
    /// permissions `get` or `list` on Deployments and `get` on the `ConfigMaps`.
    pub(crate) async fn read(cluster: &Cluster, name: Option<&str>) -> Result<Self, Error> {
        let deployment = find(cluster, name).await?;
        let pod = deployment.spec.and_then(|spec| spec.template.spec);
        let mut containers = pod.map(|pod| pod.containers).unwrap_or_default();
        let mut operator = Self::default();
        let at = containers.iter().position(|container| container.name == CONTAINER).unwrap_or(0);
        if at < containers.len() {
            let container = containers.swap_remove(at);
            operator.image = container.image.clone().unwrap_or_default();
            add_environment(cluster, container, &mut operator).await;
        }
        Ok(operator)
    }
}

async fn find(cluster: &Cluster, name: Option<&str>) -> Result<Deployment, Error> {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let namespace = &cluster.namespace;
    let call = |verb, name| Call { verb, resource: "deployments", namespace, name };
    if let Some(name) = name {
        return api.get(name).await.map_err(|error| call("get", name).error(&error));
    }
    let found = api.list(&ListParams::default().labels(SELECTOR)).await;
    let mut found = found.map_err(|error| call("list", "").error(&error))?.items;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Error::Usage(format!(
            "the namespace {namespace} has no Deployment with the label {SELECTOR}: set --namespace or --operator"
        ))),
        (Some(_), false) => Err(Error::Usage(format!(
            "the namespace {namespace} has several Deployments with the label {SELECTOR}: choose one with --operator"
        ))),
    }
}

/// Collects the variables as the kubelet would: `env` wins over `envFrom`, and the last of several wins.
async fn add_environment(cluster: &Cluster, container: Container, operator: &mut Operator) {
    for source in container.env_from.unwrap_or_default() {
        let Some(reference) = source.config_map_ref else { continue };
        let prefix = source.prefix.unwrap_or_default();
        for (key, value) in config_map(cluster, &reference.name, operator).await {
            operator.environment.insert(format!("{prefix}{key}"), value);
        }
    }
    for variable in container.env.unwrap_or_default() {
        let reference = variable.value_from.and_then(|source| source.config_map_key_ref);
        let value = match reference {
            Some(reference) => config_map(cluster, &reference.name, operator).await.remove(&reference.key),
            None => variable.value,
        };
        // A value from elsewhere is unknown, and one of `envFrom` must not take its place.
        match value {
            Some(value) => operator.environment.insert(variable.name, value),
            None => operator.environment.remove(&variable.name),
        };
    }
}

/// Returns the data of a `ConfigMap`; none if it does not exist or may not be read.
async fn config_map(cluster: &Cluster, name: &str, operator: &mut Operator) -> BTreeMap<String, String> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    match api.get(name).await {
        Ok(config_map) => config_map.data.unwrap_or_default(),
        Err(error) => {
            let call = Call { verb: "get", resource: "configmaps", namespace: &cluster.namespace, name };
            operator.unread.get_or_insert_with(|| call.error(&error));
            BTreeMap::new()
        }
    }
}
