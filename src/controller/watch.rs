//! From the API server to the queue.
//!
//! Only open and failed objects are watched: a request that succeeded or was skipped leaves the watch as if it
//! were deleted, so memory and traffic follow the open work, not the history.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::unbounded;
use futures::future::ready;
use futures::{Stream, StreamExt, stream};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Config as ControllerConfig, ReconcileRequest, applier};
use kube::runtime::reflector::store;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Error, Resource, ResourceExt};
use tracing::Instrument;

use crate::operation::backoff;

use super::context::Context;
use super::intake::{Intake, reference};
use super::packed::Packed;
use super::pass::Interrupted;
use super::reconcile::reconcile;
use super::roster::Key;
use super::{Managed, Shared};

/// A watch ends by itself this soon and goes on where it was: a connection that has died in silence shows by that.
/// Bookmarks would not do: nobody promises them, and of a kind that has not changed none comes for minutes.
const WATCH_SECONDS: u32 = 60;
/// A watch that says nothing for longer is half open: it should have ended by then.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// Without an answer to any watch for so long the process is restarted. An API server that is down for less costs no
/// restart.
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

/// Watches one scope of one kind and reconciles what it sees, until the order to stop.
pub async fn run<O: Managed>(shared: Arc<Shared>, watch_client: Client, scope: Scope, concurrency: u16) {
    let (waker, woken) = unbounded();
    let (reader, writer) = store();
    let context = Arc::new(Context::new(shared.clone()));
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
