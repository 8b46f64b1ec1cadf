//! A watch that survives whatever the API server does: it restarts, ends before a load balancer cuts it, and falls back
//! to paged lists.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Error, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

/// The API server ends a watch after this time, and it resumes. That makes dead connections visible, which bookmarks
/// would not: the API server need not send any for minutes.
const WATCH_SECONDS: u32 = 60;
/// A watch that is silent for longer has a dead connection.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// Timeout of a streamed list.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

type Events<T> = BoxStream<'static, watcher::Result<Event<T>>>;

/// The events of the watch, which restarts forever. Lists are streamed if the API server completes them, otherwise paged.
/// `kind` and `namespace` identify it in the log.
pub fn watch_events<T>(
    api: Api<T>,
    config: watcher::Config,
    kind: &'static str,
    namespace: Option<String>,
) -> impl Stream<Item = watcher::Result<Event<T>>> + Send
where
    T: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = config.timeout(WATCH_SECONDS);
    // A streamed list is cheaper for the API server.
    let streamed = watcher(api.clone(), config.clone().streaming_lists()).default_backoff().boxed();
    let paged = watcher(api, config).default_backoff().boxed();
    let lists = Lists {
        stream: streamed,
        kind,
        namespace,
        paged: Some(paged),
        list_ends: Some(Instant::now() + LIST_TIMEOUT),
    };
    stream::unfold(lists, |mut lists| async move {
        let event = lists.next().await?;
        Some((event, lists))
    })
}

/// A watch with streamed lists, until the API server does not complete one.
struct Lists<T> {
    stream: Events<T>,
    kind: &'static str,
    namespace: Option<String>,
    paged: Option<Events<T>>,
    list_ends: Option<Instant>,
}

impl<T> Lists<T> {
    async fn next(&mut self) -> Option<watcher::Result<Event<T>>> {
        loop {
            let event = match self.list_ends.filter(|_| self.paged.is_some()) {
                None => self.stream.next().await,
                Some(end) => {
                    let Ok(event) = timeout_at(end, self.stream.next()).await else {
                        tracing::warn!(
                            kind = self.kind,
                            namespace = self.namespace,
                            "the API server did not complete a streamed list; using paged lists"
                        );
                        self.fall_back();
                        continue;
                    };
                    event
                }
            };
            match &event {
                Some(Ok(Event::InitDone)) => self.list_ends = None,
                Some(Ok(Event::Init)) => self.list_ends = Some(Instant::now() + LIST_TIMEOUT),
                Some(Err(error)) if is_not_streamed(error) && self.paged.is_some() => {
                    self.fall_back();
                    continue;
                }
                // The timeout applies only to a list that has started.
                Some(Err(_)) if self.list_ends.is_some() => {
                    self.list_ends = Some(Instant::now() + LIST_TIMEOUT);
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

/// Whether the API server lacks the feature `WatchList` and so rejects the field `sendInitialEvents`.
fn is_not_streamed(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(Error::Api(status)) if status.code == 422)
}
