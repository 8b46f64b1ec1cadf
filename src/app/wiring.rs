//! The parts, and how they hang together.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::api::{ConnectorRestore, MigrationRollback};
use crate::controller::{
    CrdState, Events, Gate, Metrics, Rate, Roster, Scope, Shared, Stop, run as run_controller, watch_crds,
};
use crate::operation::Settings;
use crate::runtime::process::ProcessFigures;
use crate::text::clean;

use super::Operator;

/// How often the token file is read.
const TOKEN_INTERVAL: Duration = Duration::from_secs(2);

impl Operator {
    pub(super) fn shared(&self, client: Client, me: String, events: Events) -> (Arc<Shared>, Registry) {
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
        registry.register_collector(Box::new(ProcessFigures::new("cde_operator")));
        let metrics = Metrics::new(&mut registry, roster.clone(), gate.clone());
        let shared = Shared {
            client,
            cde: self.cde.clone(),
            tokens: self.tokens.clone(),
            settings,
            me,
            roster,
            gate,
            rate: Rate::new(self.args.rate),
            metrics,
            events,
            crds: Arc::default(),
            workers: Semaphore::new(usize::from(self.args.concurrency)),
            stop: Stop::default(),
        };
        (Arc::new(shared), registry)
    }

    /// What runs beside the controllers.
    pub(super) fn background(&self, shared: &Arc<Shared>, client: &Client, tasks: &mut JoinSet<()>) {
        let crds: Arc<CrdState> = shared.crds.clone();
        let api_server = client.clone();
        tasks.spawn(async move { watch_crds(api_server, &crds).await });
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

    pub(super) fn controllers(
        &self,
        shared: &Arc<Shared>,
        client: &Client,
        scopes: Vec<Scope>,
        listed: &watch::Sender<usize>,
    ) -> JoinSet<()> {
        let mut controllers = JoinSet::new();
        let watches = 2 * scopes.len();
        for scope in scopes {
            let other = Scope { number: scope.number + 1, ..scope.clone() };
            let concurrency = self.args.concurrency;
            let (one, two) = (shared.clone(), shared.clone());
            let (client_one, client_two) = (client.clone(), client.clone());
            controllers.spawn(run_controller::<ConnectorRestore>(
                one,
                client_one,
                scope,
                listed.clone(),
                watches,
                concurrency,
            ));
            controllers.spawn(run_controller::<MigrationRollback>(
                two,
                client_two,
                other,
                listed.clone(),
                watches,
                concurrency,
            ));
        }
        controllers
    }

    pub(super) fn scopes(&self) -> Vec<Scope> {
        let selector = self.args.selector.clone();
        let namespaces: Vec<Option<String>> = match self.args.namespaces.as_slice() {
            [] => vec![None],
            some => some.iter().map(|namespace| Some(namespace.trim().to_owned())).collect(),
        };
        let scope = |(index, namespace)| Scope { namespace, selector: selector.clone(), number: 2 * index };
        namespaces.into_iter().enumerate().map(scope).collect()
    }

    /// The pod's name, or the host's, and a suffix drawn at each start: a restarted process is another holder.
    pub(super) fn holder(&self) -> String {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        let name = self.args.pod_name.clone().unwrap_or_else(host);
        let suffix = Uuid::new_v4().simple().to_string();
        format!("{}-{}", clean(&name, 200), &suffix[..8])
    }
}
