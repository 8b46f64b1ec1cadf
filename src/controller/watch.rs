//! From the API server to the queue of objects to reconcile.
//!
//! Only open and failed objects are watched: a request that succeeded or was skipped leaves the watch as if it were
//! deleted, so memory and traffic follow the open requests, not the finished ones.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt, stream};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Config as ControllerConfig, ReconcileRequest, applier};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Error, Resource as _, ResourceExt};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::operation::backoff;
use crate::runtime::clock;
use crate::runtime::watches::{SETTLED, WatchState};
use crate::text::describe;

use super::cache::{Cache, Change};
use super::context::{Context, Scope};
use super::error::ReconcileError;
use super::guarded::Guarded;
use super::kind::{Key, Kind};
use super::reconcile::reconcile;

/// A watch ends by itself this soon and goes on where it was: a connection that has died in silence shows by that.
/// Bookmarks would not do: nobody promises them, and of a kind that has not changed none comes for minutes.
const WATCH_SECONDS: u32 = 60;
/// A watch that says nothing for longer is half open: it should have ended by then.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// A streamed list that is not complete by then never will be.
const FIRST_LIST: Duration = Duration::from_secs(30);
/// How soon an interrupted reconciliation begins again: at first, and at the latest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Finished requests need no watching.
const OPEN: &str = "status.outcome!=Succeeded,status.outcome!=Skipped";

/// Watches one kind in one namespace, or in all of them, and reconciles what it sees, until the order to stop.
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
    let intake = scope.clone();
    let asked =
        events::<K>(client, namespace, selector).flat_map(move |event| stream::iter(take_in(&intake, event)));
    let stopped = scope.context.clone();
    let queue = stream::select(asked, woken)
        .map(|key| Ok::<_, ReconcileError>(ReconcileRequest::from(reference::<K>(&key))))
        .take_until(async move { stopped.stop.cancelled().await });
    let objects = scope.cache.objects();
    async move {
        // The workers are the limit, for all watches together. The applier polls all it has begun whenever one of them
        // wakes, so it begins no more than there are workers.
        let config = ControllerConfig::default().concurrency(scope.context.workers.limit());
        let (watches, watch) = (scope.context.watches.clone(), scope.watch);
        let settled = async move {
            tokio::time::sleep(SETTLED).await;
            watches.settle(watch);
            std::future::pending::<()>().await;
        };
        let applied = applier(guarded::<K>, again, scope, objects, Box::pin(queue), config);
        tokio::select! {
            () = applied.for_each(|_| async {}) => {}
            () = settled => {}
        }
    }
}

/// Keeps cache and queue up to date with a watch event; returns the objects that are worth a reconciliation.
fn take_in<K: Kind>(scope: &Scope<K>, event: watcher::Result<Event<Guarded<K>>>) -> Vec<Key> {
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
        tracing::info!(kind = K::KIND, "the watch works again");
    }
    let mut asking = Vec::new();
    for change in scope.cache.apply(event) {
        match change {
            Change::Newer(key, object, asks) => {
                if let Some(status) = object.status().filter(|_| first_list) {
                    context.breaker.restore(status);
                }
                context.queue.update(&key, object.as_ref());
                asking.extend(asks.then_some(key));
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
                    tracing::error!(kind = K::KIND, %namespace, %name, error, "cannot be decoded; left alone");
                }
            }
        }
    }
    if is_listed {
        context.watches.listed(scope.watch);
    }
    asking
}

fn note_failure<K: Kind>(scope: &Scope<K>, error: &str) {
    if scope.context.watches.fails(scope.watch, error) {
        let all = scope.context.watches.all();
        let name = all.get(scope.watch).map(WatchState::name).unwrap_or_default();
        tracing::warn!(kind = K::KIND, watch = name, error, "the watch is interrupted; it begins again");
    }
}

/// The object's name in the controller's queue; without uid and version, which would be kept there as well.
fn reference<K: Kind>(key: &Key) -> ObjectRef<Guarded<K>> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

/// When an interrupted reconciliation begins again: the API server is in trouble, and spared a storm.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the applier asks for")]
fn again<K: Kind>(object: Arc<Guarded<K>>, _: &ReconcileError, scope: Arc<Scope<K>>) -> Action {
    let key = scope.cache.key(object.meta());
    let interruptions = key.and_then(|key| {
        scope.cache.remember(&key, |memory| {
            memory.interruptions = memory.interruptions.saturating_add(1);
            memory.interruptions
        })
    });
    let jitter = 0.5 + clock::jitter() / 2.0;
    Action::requeue(backoff(interruptions.unwrap_or(1), AGAIN.0, AGAIN.1, jitter))
}

/// One reconciliation when it may begin, with its span and its metric.
///
/// It is a task of its own, because the applier polls all that it has begun whenever one of them wakes.
fn guarded<K: Kind>(
    object: Arc<Guarded<K>>,
    scope: Arc<Scope<K>>,
) -> impl Future<Output = Result<Action, ReconcileError>> + Unpin {
    let span = tracing::info_span!(
        "pass",
        kind = K::KIND,
        object = %format_args!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
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
    AbortOnDropHandle::new(tokio::spawn(task.instrument(span))).map(|joined| match joined {
        Ok(result) => result,
        Err(error) => error.try_into_panic().map_or(Ok(Action::await_change()), |panic| resume_unwind(panic)),
    })
}

/// The watch, repeated for ever: the first list is streamed where the API server completes one, else paged.
fn events<K: Kind>(
    client: Client,
    namespace: Option<String>,
    selector: Option<&str>,
) -> impl Stream<Item = watcher::Result<Event<Guarded<K>>>> + Send + use<K> {
    let api: Api<Guarded<K>> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut config = watcher::Config::default().fields(OPEN).timeout(WATCH_SECONDS);
    if let Some(selector) = selector {
        config = config.labels(selector);
    }
    // A streamed list costs the API server a third, and nobody holds a page of it.
    let streamed = watcher(api.clone(), config.clone().streaming_lists()).default_backoff().boxed();
    let paged = watcher(api, config).default_backoff().boxed();
    let lists = Lists {
        stream: streamed,
        namespace,
        paged: Some(paged),
        list_ends: Some(Instant::now() + FIRST_LIST),
    };
    stream::unfold(lists, |mut lists| async move {
        let event = lists.next().await?;
        Some((event, lists))
    })
}

/// A watch whose list is streamed, until that turns out not to work.
struct Lists<K: Kind> {
    stream: BoxStream<'static, watcher::Result<Event<Guarded<K>>>>,
    namespace: Option<String>,
    /// What follows where a streamed list does not work.
    paged: Option<BoxStream<'static, watcher::Result<Event<Guarded<K>>>>>,
    /// A streamed list in progress must be complete by then.
    list_ends: Option<Instant>,
}

impl<K: Kind> Lists<K> {
    async fn next(&mut self) -> Option<watcher::Result<Event<Guarded<K>>>> {
        loop {
            let event = match self.list_ends.filter(|_| self.paged.is_some()) {
                None => self.stream.next().await,
                Some(end) => {
                    let Ok(event) = timeout_at(end, self.stream.next()).await else {
                        tracing::warn!(
                            kind = K::KIND,
                            namespace = self.namespace,
                            "the API server does not complete a streamed list; listing in pages from now on"
                        );
                        self.fall_back();
                        continue;
                    };
                    event
                }
            };
            match &event {
                Some(Ok(Event::InitDone)) => self.list_ends = None,
                Some(Ok(Event::Init)) => self.list_ends = Some(Instant::now() + FIRST_LIST),
                Some(Err(error)) if is_not_streamed(error) && self.paged.is_some() => {
                    self.fall_back();
                    continue;
                }
                // The time is for a list that is answered.
                Some(Err(_)) if self.list_ends.is_some() => {
                    self.list_ends = Some(Instant::now() + FIRST_LIST);
                }
                _ => {}
            }
            return event;
        }
    }

    fn fall_back(&mut self) {
        if let Some(paged) = self.paged.take() {
            self.stream = paged;
        }
    }
}

/// An API server without the feature `WatchList` says that the field `sendInitialEvents` is not allowed.
fn is_not_streamed(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(Error::Api(status)) if status.code == 422)
}
