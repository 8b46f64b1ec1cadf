//! The parts, and how they hang together.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use opentelemetry::KeyValue;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::api::{ConnectorRestore, MigrationRollback};
use crate::config::RunArgs;
use crate::controller::{
    Events, Gate, Lists, Metrics, Rate, Roster, Scope, Shared, Stop, run as run_controller, watch_crds,
};
use crate::operation::Settings;
use crate::runtime::process::ProcessMetrics;
use crate::text::clean;

use super::Operator;

/// So many kinds have a controller each.
const KINDS: usize = 2;
/// How often the token file is read.
const TOKEN_INTERVAL: Duration = Duration::from_secs(2);

impl Operator {
    pub(super) fn shared(&self, client: Client, events: Events) -> (Arc<Shared>, Registry) {
        let settings = Settings {
            server: self.base.clone(),
            timeout: self.args.timeout,
            retry_min: self.args.retry_min,
            retry_max: self.args.retry_max,
            deadline: Some(self.args.deadline).filter(|deadline| !deadline.is_zero()),
        };
        let roster = Roster::new(&self.base);
        let gate = Gate::new(roster.clone(), &settings);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics::new("cde_operator")));
        let metrics = Metrics::new(&mut registry, roster.clone(), gate.clone());
        let shared = Shared {
            client,
            cde: self.cde.clone(),
            tokens: self.tokens.clone(),
            settings,
            me: self.me.clone(),
            roster,
            gate,
            rate: Rate::new(self.args.rate),
            metrics,
            events,
            crds: Arc::default(),
            workers: Semaphore::new(usize::from(self.args.concurrency)),
            lists: Lists::new(KINDS * self.args.watched().len()),
            stop: Stop::default(),
        };
        (Arc::new(shared), registry)
    }

    /// What runs beside the controllers.
    pub(super) fn background(&self, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
        let (client, crds) = (shared.client.clone(), shared.crds.clone());
        tasks.spawn(async move { watch_crds(client, &crds).await });
        let gate = shared.gate.clone();
        tasks.spawn(async move { gate.keep().await });
        let tokens = self.tokens.clone();
        tasks.spawn(async move { tokens.watch(TOKEN_INTERVAL).await });
        let (gate, mut generations) = (shared.gate.clone(), self.tokens.generations());
        tasks.spawn(async move {
            while generations.changed().await.is_ok() {
                gate.token_changed();
            }
        });
    }

    /// A controller for each kind and namespace.
    pub(super) fn controllers(&self, shared: &Arc<Shared>, client: &Client) -> JoinSet<()> {
        let mut controllers = JoinSet::new();
        for (index, namespace) in self.args.watched().into_iter().enumerate() {
            let scope = |kind| Scope {
                namespace: namespace.clone(),
                selector: self.args.selector.clone(),
                number: KINDS * index + kind,
            };
            let (shared, client) = (|| shared.clone(), || client.clone());
            let concurrency = self.args.concurrency;
            controllers.spawn(run_controller::<ConnectorRestore>(shared(), client(), scope(0), concurrency));
            controllers.spawn(run_controller::<MigrationRollback>(shared(), client(), scope(1), concurrency));
        }
        controllers
    }
}

/// Describes this process by the names that OpenTelemetry has for it and its pod.
pub(super) fn resource(args: &RunArgs, me: &str) -> Vec<KeyValue> {
    let mut resource = vec![
        KeyValue::new("service.name", "cde-operator"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", me.to_owned()),
    ];
    for (key, value) in [("k8s.pod.name", &args.pod_name), ("k8s.namespace.name", &args.pod_namespace)] {
        resource.extend(value.clone().map(|value| KeyValue::new(key, value)));
    }
    resource
}

/// Names this process: the pod's name, or the host's, and a suffix drawn at each start. A restarted process is another
/// holder.
pub(super) fn holder(args: &RunArgs) -> String {
    let host = || gethostname::gethostname().to_string_lossy().into_owned();
    let name = args.pod_name.clone().unwrap_or_else(host);
    let suffix = Uuid::new_v4().simple().to_string();
    format!("{}-{}", clean(&name, 200), &suffix[..8])
}
