//! Watches objects, and reconciles those that change or are woken.
//!
//! A request that succeeded or was skipped leaves the watch as if it were deleted, so memory and traffic depend only on
//! open and failed requests.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::operation::backoff;
use crate::runtime::clock;
use crate::runtime::guarded::Guarded;
use crate::runtime::watch_stream::watch_events;
use crate::runtime::watches::{SETTLED, WatchState};
use crate::runtime::work_queue::WorkQueue;
use crate::text::describe;

use super::cache::{Cache, Change};
use super::context::{Context, Scope};
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
    async move {
        let (watches, watch) = (scope.context.watches.clone(), scope.watch);
        let settled = async move {
            tokio::time::sleep(SETTLED).await;
            watches.settle(watch);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work(&scope, stream::select(changed, woken)) => {}
            () = settled => {}
        }
    }
}

/// Reconciles the objects that are woken until the operator stops, and then waits for those that are being reconciled.
async fn work<K: Kind>(scope: &Arc<Scope<K>>, woken: impl Stream<Item = Key>) {
    let mut woken = pin!(woken);
    let mut queue = WorkQueue::default();
    let mut workers = JoinSet::new();
    // The workers limit all watches together, so more tasks would only wait.
    let limit = usize::from(scope.context.workers.limit());
    loop {
        while workers.len() < limit
            && let Some(key) = queue.take()
        {
            workers.spawn(reconcile_when_allowed(scope.clone(), key));
        }
        tokio::select! {
            () = scope.context.stop.cancelled() => break,
            Some(key) = woken.next() => queue.add(key),
            Some(ended) = workers.join_next() => {
                let (key, after) = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
                queue.put_back(key, after);
            }
            true = queue.add_next() => {}
        }
    }
    while workers.join_next().await.is_some() {}
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
    let first_list = !context.watches.is_listed(scope.watch);
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

/// Runs one reconciliation when it may start. Returns how long until the next one, if nothing wakes the object.
fn reconcile_when_allowed<K: Kind>(
    scope: Arc<Scope<K>>,
    key: Key,
) -> impl Future<Output = (Key, Option<Duration>)> {
    let span =
        tracing::info_span!("reconcile", kind = %K::KIND, namespace = %key.namespace, name = %key.name);
    let task = async move {
        let context = &scope.context;
        context.watches.may_begin(scope.watch).await;
        context.crds.good().await;
        let Ok(_worker) = context.workers.acquire().await else { return (key, None) };
        let result = reconcile(&scope, &key).await;
        context.metrics.reconciled(K::KIND, if result.is_ok() { "ok" } else { "interrupted" });
        let after = result.unwrap_or_else(|error| {
            tracing::warn!("{error}");
            Some(backoff_after_interruption(&scope, &key))
        });
        (key, after)
    };
    // Boxed, because the runtime moves a task several times.
    Box::pin(task.instrument(span))
}

fn backoff_after_interruption<K: Kind>(scope: &Scope<K>, key: &Key) -> Duration {
    let interruptions = scope.cache.remember(key, |memory| {
        memory.interruptions = memory.interruptions.saturating_add(1);
        memory.interruptions
    });
    let jitter = 0.5 + clock::jitter() / 2.0;
    backoff(interruptions.unwrap_or(1), RETRY.0, RETRY.1, jitter)
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
