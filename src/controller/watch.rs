//! From the API server to the store, the roster and the queue.
//!
//! Only open and failed objects are watched: a request that succeeded or was skipped leaves the watch as if it
//! were deleted, so memory and traffic follow the open work, not the history.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::unbounded;
use futures::future::ready;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Config as ControllerConfig, ReconcileRequest, applier};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Error, Resource, ResourceExt};
use tracing::Instrument;

use crate::api::Outcome;
use crate::operation::{Observed, Situation, Step, backoff, decide, unreadable_retry};

use super::packed::{Packed, Undecodable};
use super::pass::Interrupted;
use super::reconcile::reconcile;
use super::roster::{Key, Waker, version};
use super::status_write::describe;
use super::{Managed, Shared};

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
pub(super) struct Context<O> {
    pub(super) shared: Arc<Shared>,
    /// Objects as this process wrote them, where the watch has not caught up.
    newest: Mutex<HashMap<Arc<str>, Arc<O>>>,
}

impl<O: Managed> Context<O> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<O>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newer one of the cached object and what this process wrote.
    ///
    /// # Errors
    /// Where the cached one is needed and is not what its kind has.
    pub(super) fn newest(&self, cached: &Packed<O>) -> Result<Arc<O>, Undecodable> {
        if let Some(own) = self.lock().get(cached.meta().uid.as_deref().unwrap_or_default())
            && version(own.meta()) > version(cached.meta())
        {
            return Ok(own.clone());
        }
        self.caught_up(cached);
        cached.open().map(Arc::new)
    }

    /// The watch has shown this version: what this process wrote before it needs no keeping.
    fn caught_up(&self, shown: &Packed<O>) {
        let uid = shown.meta().uid.as_deref().unwrap_or_default();
        let mut newest = self.lock();
        if newest.get(uid).is_some_and(|own| version(own.meta()) <= version(shown.meta())) {
            newest.remove(uid);
        }
    }

    /// A record that is final needs no keeping: nothing is decided on it any more.
    pub(super) fn keep_newest(&self, key: &Key, object: &Arc<O>) {
        if object.status().and_then(|status| status.outcome).is_some_and(Outcome::is_final) {
            self.lock().remove(&key.uid);
        } else {
            self.lock().insert(key.uid.clone(), object.clone());
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
    let mut intake = Intake::new(context.clone(), writer, scope.number, waker);
    let asked = events::<O>(watch_client, &scope).flat_map(move |event| stream::iter(intake.take(event)));
    let queue = stream::select(asked, woken.map(|key| reference(&key)));
    let queue = queue
        .map(|object| Ok::<_, Interrupted>(ReconcileRequest::from(object)))
        .take_until(stopped(shared.clone()));
    let config = ControllerConfig::default().concurrency(concurrency);
    applier(pass::<O>, again, context, reader, Box::pin(queue), config).for_each(|_| async {}).await;
}

/// When an interrupted pass begins again: the API server has troubles enough without a storm.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the applier asks for")]
fn again<O: Managed>(object: Arc<Packed<O>>, _: &Interrupted, context: Arc<Context<O>>) -> Action {
    let interruptions = Key::of::<O>(object.meta()).map_or(1, |key| context.shared.roster.interrupted(&key));
    let jitter = 0.5 + rand::random::<f64>() / 2.0;
    Action::requeue(backoff(interruptions, AGAIN.0, AGAIN.1, jitter))
}

async fn stopped(shared: Arc<Shared>) {
    shared.stop.ordered().await;
}

/// One pass, with its span and its figures.
fn pass<O: Managed>(
    object: Arc<Packed<O>>,
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

/// The watch, repeated for ever.
fn events<O: Managed>(
    client: Client,
    scope: &Scope,
) -> impl Stream<Item = watcher::Result<Event<Packed<O>>>> + Send + use<O> {
    let api: Api<Packed<O>> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut config = watcher::Config::default().fields(OPEN).timeout(WATCH_SECONDS);
    if let Some(selector) = &scope.selector {
        config = config.labels(selector);
    }
    // A list that is streamed costs the API server a third, and nobody holds a page of it.
    let streamed = watcher(api.clone(), config.clone().streaming_lists());
    streamed
        .take_while(|event| ready(!event.as_ref().is_err_and(is_not_streamed)))
        .chain(watcher(api, config))
        .default_backoff()
}

/// An API server without the feature `WatchList` says that the field `sendInitialEvents` is not allowed.
fn is_not_streamed(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(Error::Api(status)) if status.code == 422)
}

/// What takes in the events of one watch: it keeps the cache and the roster up, and says what is worth a pass.
struct Intake<O: Managed> {
    context: Arc<Context<O>>,
    cache: Writer<Packed<O>>,
    watch: usize,
    waker: Waker,
    /// The first list is not complete.
    first: bool,
    /// Of the list that is under way: what is worth a pass, and all that there is.
    listing: Vec<ObjectRef<Packed<O>>>,
    uids: HashSet<Arc<str>>,
    undecodable: HashSet<Arc<str>>,
}

impl<O: Managed> Intake<O> {
    fn new(context: Arc<Context<O>>, cache: Writer<Packed<O>>, watch: usize, waker: Waker) -> Self {
        Self {
            context,
            cache,
            watch,
            waker,
            first: true,
            listing: Vec::new(),
            uids: HashSet::new(),
            undecodable: HashSet::new(),
        }
    }

    fn take(&mut self, event: watcher::Result<Event<Packed<O>>>) -> Vec<ObjectRef<Packed<O>>> {
        match event {
            Ok(Event::Init) => {
                self.listing.clear();
                self.uids.clear();
                self.cache.apply_watcher_event(&Event::Init);
            }
            Ok(Event::InitApply(object)) => {
                if let Some((key, object, asks)) = self.read(object) {
                    self.listing.extend(asks.then(|| reference(&key)));
                    self.uids.insert(key.uid);
                    self.cache.apply_watcher_event(&Event::InitApply(object));
                }
            }
            Ok(Event::InitDone) => {
                self.cache.apply_watcher_event(&Event::InitDone);
                self.context.shared.roster.keep_only(self.watch, &std::mem::take(&mut self.uids));
                if std::mem::take(&mut self.first) {
                    self.context.shared.lists.note();
                }
                return std::mem::take(&mut self.listing);
            }
            Ok(Event::Apply(object)) => {
                if let Some((key, object, asks)) = self.read(object) {
                    self.cache.apply_watcher_event(&Event::Apply(object));
                    return asks.then(|| reference(&key)).into_iter().collect();
                }
            }
            Ok(Event::Delete(object)) => {
                if let Some(key) = Key::of::<O>(object.meta()) {
                    self.context.forget(&key);
                }
                self.cache.apply_watcher_event(&Event::Delete(object));
            }
            Err(error) => {
                let error = describe(&error);
                tracing::warn!(kind = O::KIND, error, "the watch is interrupted; it begins again");
            }
        }
        Vec::new()
    }

    /// The object as it is to be cached, and whether it is worth a pass.
    fn read(&mut self, object: Packed<O>) -> Option<(Key, Packed<O>, bool)> {
        let key = Key::of::<O>(object.meta())?;
        let (under_way, asks) = if let Some(under_way) =
            self.context.shared.roster.echoed(object.meta(), self.watch, &self.waker)
        {
            self.context.caught_up(&object);
            (under_way, false)
        } else {
            let opened = match object.open() {
                Ok(opened) => opened,
                Err(error) => {
                    self.note_undecodable(&key, &error);
                    return None;
                }
            };
            let shared = &self.context.shared;
            if let Some(status) = opened.status().filter(|_| self.first) {
                shared.gate.recall(status);
            }
            let asks = shared.roster.watched(&opened, self.watch, &self.waker);
            let operation = opened.status().and_then(|status| status.operation.as_ref());
            (operation.is_some_and(|operation| operation.in_flight.is_some()), asks && !self.rests(&opened))
        };
        // What is under way changes soon.
        Some((key, if under_way { object } else { object.compressed() }, asks))
    }

    /// Whether a finished request asks for nothing: most of what is listed, and no pass is spent on it.
    fn rests(&self, object: &O) -> bool {
        let Shared { me, settings, .. } = self.context.shared.as_ref();
        let (observed, now) = (Observed::default(), Timestamp::now());
        let situation = Situation { object, unrecorded: None, now, me, settings, observed: &observed };
        object.status().is_some_and(|status| status.outcome.is_some())
            && unreadable_retry(object).is_none()
            && decide(&situation) == Step::Rest
    }

    /// Logged once, and left alone; the others go on.
    fn note_undecodable(&mut self, key: &Key, error: &Undecodable) {
        self.context.shared.roster.forget(key);
        if self.undecodable.insert(key.uid.clone()) {
            self.context.shared.metrics.undecodable(O::KIND);
            let Key { namespace, name, .. } = key;
            tracing::error!(
                kind = O::KIND,
                %namespace,
                %name,
                %error,
                "cannot be decoded; left alone"
            );
        }
    }
}

/// The object's name in the queue; without uid and version, which would be kept there as well.
fn reference<O: Managed>(key: &Key) -> ObjectRef<Packed<O>> {
    ObjectRef::new(&key.name).within(&key.namespace)
}
