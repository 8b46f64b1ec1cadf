//! From the API server to the store, the roster and the queue.
//!
//! Only open and failed objects are watched: a request that succeeded or was skipped leaves the watch as if it
//! were deleted, so memory and traffic follow the open work, not the history.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{Stream, StreamExt, stream};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config as ControllerConfig, ReconcileRequest, applier};
use kube::runtime::reflector::{ObjectRef, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tracing::Instrument;

use crate::api::Outcome;
use crate::operation::backoff;

use super::pass::Interrupted;
use super::roster::{Key, Waker, version};
use super::status_write::{describe, slim};
use super::{Managed, Shared, reconcile};

/// A watch ends by itself this soon and goes on where it was: a connection that has died in silence shows by that.
/// Bookmarks would not do: nobody promises them, and of a kind that has not changed none comes for minutes.
const WATCH_SECONDS: u32 = 60;
/// A watch that says nothing for longer is half open: it should have ended by then.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// Watches that were not renewed for so long are stuck. An API server that is down for less costs no restart.
pub const STUCK: Duration = Duration::from_mins(13);
/// How soon an interrupted pass begins again: at first, and at the latest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Finished requests need no watching.
const OPEN: &str = "status.outcome!=Succeeded,status.outcome!=Skipped";

/// What one watch sees.
#[derive(Clone, Debug)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// A label selector.
    pub selector: Option<String>,
    /// A number of its own, for each kind and scope.
    pub number: usize,
}

/// What the passes over one kind share.
pub struct Context<O> {
    pub(super) shared: Arc<Shared>,
    /// Objects as this process wrote them, where the watch has not caught up.
    newest: Mutex<HashMap<String, Arc<O>>>,
}

impl<O: Managed> Context<O> {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<O>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newer one of the cached object and what this process wrote.
    pub(super) fn newest(&self, cached: Arc<O>) -> Arc<O> {
        let uid = cached.uid().unwrap_or_default();
        let mut newest = self.lock();
        match newest.get(&uid) {
            Some(own) if version(own.as_ref()) > version(cached.as_ref()) => own.clone(),
            Some(_) => {
                newest.remove(&uid);
                cached
            }
            None => cached,
        }
    }

    /// A record that is final needs no keeping: nothing is decided on it any more.
    pub(super) fn keep_newest(&self, object: &Arc<O>) {
        let Some(uid) = object.uid() else { return };
        if object.status().and_then(|status| status.outcome).is_some_and(Outcome::is_final) {
            self.lock().remove(&uid);
        } else {
            self.lock().insert(uid, object.clone());
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(&key.uid);
        self.shared.roster.forget(key);
    }
}

/// Watches one scope of one kind and reconciles what it sees, until the order to stop.
pub async fn run<O: Managed>(shared: Arc<Shared>, watch_client: Client, scope: Scope, concurrency: u16) {
    let (waker, woken) = unbounded();
    let (reader, writer) = store();
    let context = Arc::new(Context { shared: shared.clone(), newest: Mutex::default() });
    let queue = reflector(writer, events(&shared, watch_client, &scope));
    let queue = triggers(queue, context.clone(), scope.number, waker);
    let queue = stream::select(queue, wakes(woken)).take_until(stopped(shared.clone()));
    let config = ControllerConfig::default().concurrency(concurrency);
    applier(pass::<O>, again, context, reader, Box::pin(queue), config).for_each(|_| async {}).await;
}

/// When an interrupted pass begins again: the API server has troubles enough without a storm.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the applier asks for")]
fn again<O: Managed>(object: Arc<O>, _: &Interrupted, context: Arc<Context<O>>) -> Action {
    let interruptions = Key::of(object.as_ref()).map_or(1, |key| context.shared.roster.interrupted(&key));
    let jitter = 0.5 + rand::random::<f64>() / 2.0;
    Action::requeue(backoff(interruptions, AGAIN.0, AGAIN.1, jitter))
}

async fn stopped(shared: Arc<Shared>) {
    shared.stop.ordered().await;
}

/// One pass, with its span and its figures.
fn pass<O: Managed>(
    object: Arc<O>,
    context: Arc<Context<O>>,
) -> impl Future<Output = Result<Action, Interrupted>> + Unpin {
    let span = tracing::info_span!(
        "pass",
        kind = O::KIND,
        object = %format_args!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
    );
    let metrics = context.shared.metrics.clone();
    Box::pin(
        async move {
            context.shared.lists.all().await;
            context.shared.crds.good().await;
            let result = reconcile(object, context).await;
            metrics.reconciled(O::KIND, if result.is_ok() { "ok" } else { "interrupted" });
            if let Err(interrupted) = &result {
                tracing::warn!("{interrupted}");
            }
            result
        }
        .instrument(span),
    )
}

/// The watch: decoded, slimmed, repeated for ever.
fn events<O: Managed>(
    shared: &Arc<Shared>,
    client: Client,
    scope: &Scope,
) -> impl Stream<Item = watcher::Result<Event<O>>> + Send + use<O> {
    let api: Api<DeserializeGuard<O>> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut config = watcher::Config::default().fields(OPEN).timeout(WATCH_SECONDS);
    if let Some(selector) = &scope.selector {
        config = config.labels(selector);
    }
    let shared = shared.clone();
    let mut undecodable = HashSet::new();
    watcher::watcher(api, config).default_backoff().filter_map(move |event| {
        let decoded = event
            .map(|event| decode(event, |invalid| note_undecodable::<O>(&shared, &mut undecodable, invalid)));
        futures::future::ready(match decoded {
            Ok(event) => event.map(Ok),
            Err(error) => {
                tracing::warn!(
                    kind = O::KIND,
                    error = describe(&error),
                    "the watch is interrupted; it begins again"
                );
                Some(Err(error))
            }
        })
    })
}

/// The event with its object, where that can be decoded.
fn decode<O: Managed>(
    event: Event<DeserializeGuard<O>>,
    mut invalid: impl FnMut(kube::core::error_boundary::InvalidObject),
) -> Option<Event<O>> {
    let mut open = |guard: DeserializeGuard<O>| guard.0.map(slim).map_err(&mut invalid).ok();
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(object) => open(object).map(Event::InitApply),
        Event::Apply(object) => open(object).map(Event::Apply),
        Event::Delete(object) => open(object).map(Event::Delete),
    }
}

/// Logged once, and left alone; the others go on.
fn note_undecodable<O: Managed>(
    shared: &Shared,
    known: &mut HashSet<String>,
    invalid: kube::core::error_boundary::InvalidObject,
) {
    let meta = invalid.metadata;
    let key = Key {
        uid: meta.uid.unwrap_or_default(),
        kind: O::KIND,
        namespace: meta.namespace.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
    };
    shared.roster.forget(&key);
    if known.insert(key.uid) {
        shared.metrics.undecodable(O::KIND);
        let Key { namespace, name, .. } = key;
        tracing::error!(
            kind = O::KIND,
            namespace,
            name,
            error = invalid.error,
            "cannot be decoded; left alone"
        );
    }
}

/// What of the watch is worth a pass.
fn triggers<O: Managed>(
    events: impl Stream<Item = watcher::Result<Event<O>>> + Send,
    context: Arc<Context<O>>,
    watch: usize,
    waker: Waker,
) -> impl Stream<Item = Result<ReconcileRequest<O>, Interrupted>> {
    let mut first = true;
    let mut listing: Vec<ObjectRef<O>> = Vec::new();
    let mut uids = HashSet::new();
    events
        .map(move |event| {
            let roster = &context.shared.roster;
            match event {
                Ok(Event::Init) => {
                    listing.clear();
                    uids.clear();
                    Vec::new()
                }
                Ok(Event::InitApply(object)) => {
                    uids.extend(object.uid());
                    if first && let Some(status) = object.status() {
                        context.shared.gate.recall(status);
                    }
                    if roster.watched(&object, watch, &waker) {
                        listing.push(ObjectRef::from_obj(&object));
                    }
                    Vec::new()
                }
                Ok(Event::InitDone) => {
                    roster.keep_only(watch, &uids);
                    uids.clear();
                    if std::mem::take(&mut first) {
                        context.shared.lists.note();
                    }
                    std::mem::take(&mut listing)
                }
                Ok(Event::Apply(object)) if roster.watched(&object, watch, &waker) => {
                    vec![ObjectRef::from_obj(&object)]
                }
                Ok(Event::Apply(_)) | Err(_) => Vec::new(),
                Ok(Event::Delete(object)) => {
                    if let Some(key) = Key::of(&object) {
                        context.forget(&key);
                    }
                    Vec::new()
                }
            }
        })
        .flat_map(|refs| stream::iter(refs.into_iter().map(|object| Ok(ReconcileRequest::from(object)))))
}

/// Who is woken by name: by the gate, or because its turn has come.
fn wakes<O: Managed>(
    woken: UnboundedReceiver<Key>,
) -> impl Stream<Item = Result<ReconcileRequest<O>, Interrupted>> {
    woken.map(|key| Ok(ReconcileRequest::from(ObjectRef::new(&key.name).within(&key.namespace))))
}
