//! Records every version of every object as the API server stored it, also of deleted objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::StreamExt;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::watcher::{self, Event};
use tokio::task::JoinSet;

use crate::random::evidence::History;
use cde_harness::{Kind, LIMIT, POLL, TestEnv};

/// Histories by UID.
type Book = Arc<Mutex<BTreeMap<String, History>>>;

/// Watches as the administrator, without a proxy, until it is dropped.
pub(crate) struct Recorder {
    book: Book,
    _watches: JoinSet<()>,
}

impl Recorder {
    /// Starts before there is any object.
    pub(crate) fn start(env: &TestEnv) -> Self {
        let book = Book::default();
        let mut watches = JoinSet::new();
        for kind in [Kind::Restore, Kind::Rollback] {
            let (api, book) = (env.objects(kind), book.clone());
            watches.spawn(async move {
                let mut events = Box::pin(watcher::watcher(api, watcher::Config::default()));
                while let Some(event) = events.next().await {
                    match event {
                        Ok(Event::Apply(object) | Event::InitApply(object)) => {
                            note(&book, kind, object, false);
                        }
                        Ok(Event::Delete(object)) => note(&book, kind, object, true),
                        Ok(Event::Init | Event::InitDone) | Err(_) => {}
                    }
                }
            });
        }
        Self { book, _watches: watches }
    }

    /// Returns what it has seen so far.
    pub(crate) fn histories(&self) -> Vec<History> {
        self.book.lock().unwrap().values().cloned().collect()
    }

    /// Waits until it has seen everything that is stored now.
    pub(crate) async fn catches_up(&self, env: &TestEnv) -> Vec<History> {
        let mut stored = Vec::new();
        for kind in [Kind::Restore, Kind::Rollback] {
            stored.extend(env.objects(kind).list(&ListParams::default()).await.unwrap().items);
        }
        let begun = Instant::now();
        loop {
            let book = self.book.lock().unwrap().clone();
            let seen = |object: &DynamicObject| {
                let version = number(object.metadata.resource_version.as_deref());
                let history = object.metadata.uid.as_ref().and_then(|uid| book.get(uid));
                history.is_some_and(|it| it.deleted || number(Some(it.last().resource_version())) >= version)
            };
            if stored.iter().all(seen) {
                return book.into_values().collect();
            }
            assert!(begun.elapsed() < LIMIT, "the recorder has not seen all that is stored");
            tokio::time::sleep(POLL).await;
        }
    }
}

fn note(book: &Book, kind: Kind, mut object: DynamicObject, deleted: bool) {
    object.metadata.managed_fields = None;
    let Some(uid) = object.metadata.uid.clone() else { return };
    let mut book = book.lock().unwrap();
    let history =
        book.entry(uid.clone()).or_insert_with(|| History { uid, kind, deleted, versions: Vec::new() });
    history.deleted = deleted;
    history.versions.push(object.into());
}

fn number(version: Option<&str>) -> u64 {
    version.and_then(|text| text.parse().ok()).unwrap_or_default()
}
