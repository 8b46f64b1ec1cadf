//! Access to the API server: clients with timeouts, version check, Lease.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::version::Info;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use uuid::Uuid;

use crate::config::RunArgs;
use crate::http_client::proxy;
use crate::runtime::api_server::client;
use crate::runtime::lease::{Lease, REQUEST_TIMEOUT};
use crate::runtime::watch_health::WatchHealth;

use super::{Error, Operator};

/// The oldest supported Kubernetes: the operator needs selectable fields of custom resources.
const OLDEST_KUBERNETES: (u32, u32) = (1, 32);
/// The wait before another try if the API server does not respond.
const PAUSE: Duration = Duration::from_secs(2);

impl Operator {
    pub(super) fn client(&self, read: Duration, health: Option<&WatchHealth>) -> Result<Client, Error> {
        client(self.kube.clone(), read, health)
            .map_err(|error| Error::Configuration(format!("invalid access to Kubernetes: {error}")))
    }

    pub(super) fn lease(&self, me: &str) -> Result<Option<Lease>, Error> {
        let Some(name) = self.lease_name() else { return Ok(None) };
        let namespace = home(&self.args, &self.kube);
        tracing::info!(namespace, lease = name, "waiting for the Lease");
        Ok(Some(Lease::new(self.client(REQUEST_TIMEOUT, None)?, &namespace, &name, me)))
    }

    /// Depends on selector, namespaces and base URL, so that operators that divide the work do not compete for one Lease.
    pub(super) fn lease_name(&self) -> Option<String> {
        let selector = self.args.selector.as_deref().unwrap_or_default();
        let namespaces: Vec<String> = self.args.watched().into_iter().flatten().collect();
        self.args.leader_election.then(|| {
            let share = format!("{selector}\n{}\n{}", namespaces.join(","), self.base);
            let share = Uuid::new_v5(&Uuid::NAMESPACE_OID, share.as_bytes()).simple().to_string();
            format!("cde-operator-{}", &share[..12])
        })
    }
}

/// Returns the access that a kubeconfig or the Pod's service account gives. A Pod reaches the API server without a proxy.
pub(super) async fn kubernetes_access() -> Result<Config, Error> {
    let refuse = |error: &dyn std::fmt::Display| {
        Error::Configuration(format!(
            "no access to Kubernetes is configured (KUBECONFIG, in-cluster): {error}"
        ))
    };
    let Ok(file) = Kubeconfig::read() else { return Config::infer().await.map_err(|error| refuse(&error)) };
    let named = proxy::named_in(&file, None).map(str::to_owned);
    match Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await {
        Ok(mut config) => {
            config.apply_debug_overrides();
            config.proxy_url = proxy::for_api_server(named.as_deref(), &config.cluster_url);
            Ok(config)
        }
        Err(KubeconfigError::ParseNoProxy(error)) => Err(Error::Configuration(format!(
            "NO_PROXY cannot be used with a kubeconfig ({error}): separate the entries by single commas, and do not write \
             * beside other entries"
        ))),
        Err(_) => Config::infer().await.map_err(|error| refuse(&error)),
    }
}

/// The operator's own namespace.
pub(super) fn home(args: &RunArgs, kube: &Config) -> String {
    args.pod_namespace.clone().unwrap_or_else(|| kube.default_namespace.clone())
}

/// Fails if Kubernetes is too old; waits if it does not respond.
pub(super) async fn check_kubernetes(client: &Client) -> Result<(), Error> {
    loop {
        match client.apiserver_version().await {
            Ok(version) => return suffices(&version).map_err(Error::Configuration),
            Err(error) => {
                tracing::warn!(%error, "the API server does not respond; retrying");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts a version that cannot be parsed.
pub(super) fn suffices(version: &Info) -> Result<(), String> {
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
    let (Some(major), Some(minor)) = (number(&version.major), number(&version.minor)) else {
        tracing::warn!(version = version.git_version, "cannot parse the version of Kubernetes");
        return Ok(());
    };
    if (major, minor) < OLDEST_KUBERNETES {
        let (oldest_major, oldest_minor) = OLDEST_KUBERNETES;
        return Err(format!(
            "Kubernetes {major}.{minor} is too old: {oldest_major}.{oldest_minor} or later is needed"
        ));
    }
    Ok(())
}
