//! Creates and connects the parts of the operator.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use opentelemetry::KeyValue;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::for_each_kind;
use crate::config::RunArgs;
use crate::controller::{
    Change, CircuitBreaker, ConnectorQueue, Context, Metrics, Workers, run as run_controller,
};
use crate::operation::{BreakerState, Settings};
use crate::runtime::clock;
use crate::runtime::events::{Event, Events};
use crate::runtime::process::ProcessMetrics;
use crate::runtime::rate_limit::RateLimit;
use crate::runtime::watches::Watches;
use crate::text::clean;

use super::Operator;
use super::crd_check::watch_crds;

impl Operator {
    pub(super) fn context(&self, client: Client, events: Events) -> (Arc<Context>, Registry) {
        let settings = Settings {
            server: self.base.clone(),
            timeout: self.args.timeout,
            retry_min: self.args.retry_min,
            retry_max: self.args.retry_max,
            deadline: Some(self.args.deadline).filter(|deadline| !deadline.is_zero()),
        };
        let queue = ConnectorQueue::new(&self.base);
        let (breaker, changes) = CircuitBreaker::new(queue.clone(), &settings);
        tokio::spawn(self.publish_changes(events.clone(), changes));
        let watches = Watches::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics::new("cde_operator")));
        let metrics = Metrics::new(&mut registry, breaker.clone(), watches.clone());
        let context = Context {
            client,
            cde: self.cde.clone(),
            credential: self.source.credential.clone(),
            settings,
            holder: self.me.clone(),
            queue,
            breaker,
            rate: RateLimit::new(self.args.rate),
            metrics,
            events,
            crds: Arc::default(),
            workers: Workers::new(self.args.concurrency),
            recorders: TaskTracker::new(),
            watches,
            stop: CancellationToken::new(),
        };
        (Arc::new(context), registry)
    }

    /// Publishes each change of the circuit breaker as an Event on the operator's own Pod, if its name is known.
    fn publish_changes(
        &self,
        events: Events,
        mut changes: UnboundedReceiver<Change>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let pod = self.args.pod_namespace.clone().zip(self.args.pod_name.clone());
        async move {
            while let Some(change) = changes.recv().await {
                if let Some((namespace, name)) = &pod {
                    events.publish(pod_event(namespace, name, &change));
                }
            }
        }
    }

    /// Starts the tasks that run beside the controllers.
    pub(super) fn background(context: &Arc<Context>, tasks: &mut JoinSet<()>) {
        let (client, crds) = (context.client.clone(), context.crds.clone());
        tasks.spawn(async move { watch_crds(client, &crds).await });
        let breaker = context.breaker.clone();
        tasks.spawn(async move { breaker.run().await });
        Self::follow_credential(context, tasks);
    }

    pub(super) fn controllers(&self, context: &Arc<Context>, client: &Client) -> JoinSet<()> {
        let mut controllers = JoinSet::new();
        for namespace in self.args.watched() {
            macro_rules! start {
                ($($kind:ident)*) => {
                    $(controllers.spawn(run_controller::<crate::api::$kind>(
                        context,
                        client.clone(),
                        namespace.clone(),
                        self.args.selector.as_deref(),
                    ));)*
                };
            }
            for_each_kind!(start);
        }
        controllers
    }
}

/// Describes this process and its Pod with OpenTelemetry's resource attributes.
pub(super) fn resource(args: &RunArgs, me: &str) -> Vec<KeyValue> {
    let mut resource = vec![
        KeyValue::new("service.name", "cde-operator"),
        KeyValue::new("service.version", crate::VERSION),
        KeyValue::new("service.instance.id", me.to_owned()),
    ];
    for (key, value) in [("k8s.pod.name", &args.pod_name), ("k8s.namespace.name", &args.pod_namespace)] {
        resource.extend(value.clone().map(|value| KeyValue::new(key, value)));
    }
    resource
}

/// Names this process: the name of the Pod or the host, and a random suffix, so that a restarted process is another holder.
pub(super) fn holder(args: &RunArgs) -> String {
    let host = || gethostname::gethostname().to_string_lossy().into_owned();
    let name = args.pod_name.clone().unwrap_or_else(host);
    let suffix = clock::unique().simple().to_string();
    format!("{}-{}", clean(&name, 200), &suffix[..8])
}

fn pod_event(namespace: &str, name: &str, Change { state, cause }: &Change) -> Event {
    let (reason, what) = match state {
        BreakerState::Closed => ("CallsResumed", "Calls to the CDE API have resumed"),
        BreakerState::Paused => ("RateLimited", "Rate limited by the CDE API: all calls are paused"),
        BreakerState::Down => {
            ("CDEUnavailable", "The CDE API is unavailable: only one call at a time is allowed")
        }
        BreakerState::TokenRejected => {
            ("TokenRejected", "The CDE API rejects the token: all calls are paused until it changes")
        }
        BreakerState::LoginRequired => {
            ("LoginRequired", "A CDE login is required: all calls are paused until there is one")
        }
    };
    let regarding = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    };
    let (warning, note) = (*state != BreakerState::Closed, format!("{what} ({cause})."));
    let action = if warning { "PauseCalls" } else { "ResumeCalls" };
    Event { regarding, warning, reason, action, note, at: clock::now() }
}
