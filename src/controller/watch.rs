//! Watches objects and feeds the controller.
//!
//! A request that succeeded or was skipped leaves the watch as if it were deleted, so memory and traffic depend only on
//! open and failed requests.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt, stream};
use kube::runtime::controller::{Action, Config as ControllerConfig, ReconcileRequest, applier};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource as _};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::operation::backoff;
use crate::runtime::clock;
use crate::runtime::guarded::Guarded;
use crate::runtime::watch_stream::watch_events;
use crate::runtime::watches::{SETTLED, WatchState};
use crate::text::describe;

use super::cache::{Cache, Change};
use super::context::{Context, Scope};
use super::error::ReconcileError;
use super::kind::{Key, Kind};
use super::reconcile::reconcile;

/// First and longest backoff of an interrupted reconciliation.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
const OPEN_OR_FAILED: &str = "status.outcome!=Succeeded,status.outcome!=Skipped";

/// Watches and reconciles the objects of one kind in one or all namespaces until the operator stops.
pub fn run<K: Kind>(
    context: &Arc<Context>,
    client: Client,
    namespace: Option<String>,
    selector: Option<&str>,
) -> impl Future<Output = ()> + Send + 'static + use<K> {
    let watch = context.watches.add(K::KIND, namespace.clone());
    let (cache, woken) = Cache::<K>::new();
    let scope = Arc::new(Scope { context: context.clone(), cache: Arc::new(cache), watch });
    context.metrics.count_objects_of(scope.cache.clone());
    let handler = scope.clone();
    let changed = watch_events(api::<K>(client, namespace.as_deref()), config(selector), K::KIND, namespace)
        .flat_map(move |event| stream::iter(handle_event(&handler, event)));
    let stopped = scope.context.clone();
    let queue = stream::select(changed, woken)
        .map(|key| Ok::<_, ReconcileError>(ReconcileRequest::from(reference::<K>(&key))))
        .take_until(async move { stopped.stop.cancelled().await });
    let objects = scope.cache.objects();
    async move {
        // The workers limit all watches together. The applier polls everything it has started whenever one of them wakes,
        // so it starts no more than there are workers.
        let config = ControllerConfig::default().concurrency(scope.context.workers.limit());
        let (watches, watch) = (scope.context.watches.clone(), scope.watch);
        let settled = async move {
            tokio::time::sleep(SETTLED).await;
            watches.settle(watch);
            std::future::pending::<()>().await;
        };
        let applied = applier(run_reconcile::<K>, error_policy, scope, objects, Box::pin(queue), config);
        tokio::select! {
            () = applied.for_each(|_| async {}) => {}
            () = settled => {}
        }
    }
}

/// Updates cache and queue, and returns the objects to reconcile.
fn handle_event<K: Kind>(scope: &Scope<K>, event: watcher::Result<Event<Guarded<K>>>) -> Vec<Key> {
    let context = &scope.context;
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            note_failure(scope, &describe(&error));
            return Vec::new();
        }
    };
    let is_listed = matches!(event, Event::InitDone);
    let first_list = is_listed && !context.watches.is_listed(scope.watch);
    if !matches!(event, Event::Init) && context.watches.works(scope.watch) {
        tracing::info!(kind = K::KIND, "the watch has recovered");
    }
    let mut changed = Vec::new();
    for change in scope.cache.apply(event) {
        match change {
            Change::Newer(key, object, input_changed) => {
                if let Some(status) = object.status().filter(|_| first_list) {
                    context.breaker.restore(status);
                }
                context.queue.update(&key, object.as_ref());
                changed.extend(input_changed.then_some(key));
            }
            Change::Gone(key) => {
                context.queue.remove(&key);
                context.breaker.remove(&key);
            }
            Change::Undecodable(key, error) => {
                context.queue.remove(&key);
                if scope.cache.remember(&key, |memory| !std::mem::replace(&mut memory.undecodable, true))
                    == Some(true)
                {
                    context.metrics.undecodable(K::KIND);
                    let Key { namespace, name, .. } = &key;
                    tracing::error!(kind = K::KIND, %namespace, %name, error, "cannot decode the object; ignoring it");
                }
            }
        }
    }
    if is_listed {
        context.watches.listed(scope.watch);
    }
    changed
}

fn note_failure<K: Kind>(scope: &Scope<K>, error: &str) {
    if scope.context.watches.fails(scope.watch, error) {
        let all = scope.context.watches.all();
        let name = all.get(scope.watch).map(WatchState::name).unwrap_or_default();
        tracing::warn!(kind = K::KIND, watch = name, error, "the watch was interrupted; restarting it");
    }
}

/// The object's key in the controller's queue, without uid and version to save memory.
fn reference<K: Kind>(key: &Key) -> ObjectRef<Guarded<K>> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

/// Backs off after an interrupted reconciliation.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the applier requires")]
fn error_policy<K: Kind>(object: Arc<Guarded<K>>, _: &ReconcileError, scope: Arc<Scope<K>>) -> Action {
    let key = scope.cache.key(object.meta());
    let interruptions = key.and_then(|key| {
        scope.cache.remember(&key, |memory| {
            memory.interruptions = memory.interruptions.saturating_add(1);
            memory.interruptions
        })
    });
    let jitter = 0.5 + clock::jitter() / 2.0;
    Action::requeue(backoff(interruptions.unwrap_or(1), RETRY.0, RETRY.1, jitter))
}

/// Runs one reconciliation when it may start, in a task of its own because the applier polls everything it has started
/// whenever one of them wakes.
fn run_reconcile<K: Kind>(
    object: Arc<Guarded<K>>,
    scope: Arc<Scope<K>>,
) -> impl Future<Output = Result<Action, ReconcileError>> + Unpin {
    let span = tracing::info_span!(
        "reconcile",
        kind = %K::KIND,
        namespace = %object.meta().namespace.as_deref().unwrap_or_default(),
        name = %object.meta().name.as_deref().unwrap_or_default(),
    );
    let task = async move {
        let context = &scope.context;
        context.watches.may_begin(scope.watch).await;
        context.crds.good().await;
        let Ok(_worker) = context.workers.acquire().await else { return Ok(Action::await_change()) };
        let result = reconcile(&scope, object.meta()).await;
        context.metrics.reconciled(K::KIND, if result.is_ok() { "ok" } else { "interrupted" });
        if let Err(error) = &result {
            tracing::warn!("{error}");
        }
        result
    };
    // Boxed, because the runtime moves a task several times.
    AbortOnDropHandle::new(tokio::spawn(Box::pin(task.instrument(span)))).map(|joined| match joined {
        Ok(result) => result,
        Err(error) => error.try_into_panic().map_or(Ok(Action::await_change()), |panic| resume_unwind(panic)),
    })
}

fn api<K: Kind>(client: Client, namespace: Option<&str>) -> Api<Guarded<K>> {
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

fn config(selector: Option<&str>) -> watcher::Config {
    let config = watcher::Config::default().fields(OPEN_OR_FAILED);
    match selector {
        Some(selector) => config.labels(selector),
        None => config,
    }
}
