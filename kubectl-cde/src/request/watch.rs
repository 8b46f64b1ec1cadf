//! Follows requests as they change.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{BoxStream, SelectAll, StreamExt as _, select_all};
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};

use super::create::call;
use super::select::read;
use super::{Key, Kind, Request};
use crate::cli::selection::SelectArgs;
use crate::cluster::Cluster;
use crate::error::{Error, has_code};

type Events<'a> = SelectAll<BoxStream<'a, (Kind, watcher::Result<Event<DynamicObject>>)>>;

/// The requests of both kinds as they are now.
pub(crate) struct Watch<'a> {
    cluster: &'a Cluster,
    events: Events<'a>,
    only: Option<BTreeSet<Key>>,
    /// The requests.
    pub(crate) requests: BTreeMap<Key, Request>,
    listing: BTreeMap<Kind, BTreeSet<Key>>,
}

/// What has changed.
pub(crate) enum Change {
    /// A request is new or different. `before` is what it was.
    Changed {
        /// The request.
        key: Key,
        /// Its earlier state.
        before: Option<Box<Request>>,
    },
    /// A request was deleted.
    Deleted(Box<Request>),
    /// Nothing that matters.
    Nothing,
}

impl<'a> Watch<'a> {
    /// Follows the selected requests. With `only`, no others are followed, even if the selection matches them.
    pub(crate) async fn start(
        cluster: &'a Cluster,
        args: &SelectArgs,
        only: Option<BTreeSet<Key>>,
    ) -> Result<Self, Error> {
        let namespace = (!args.all_namespaces).then_some(cluster.namespace.as_str());
        // A request stays in a watch of names when its reason changes.
        let params = if only.is_some() { kube::api::ListParams::default() } else { args.list_params() };
        let config = watcher::Config {
            label_selector: params.label_selector,
            field_selector: params.field_selector,
            ..watcher::Config::default()
        };
        let events = Kind::ALL.map(|kind| {
            let events = watcher(kind.watch_api(cluster, namespace), config.clone()).default_backoff();
            events.map(move |event| (kind, event)).boxed()
        });
        let mut watch = Self {
            cluster,
            events: select_all(events),
            only,
            requests: BTreeMap::new(),
            listing: BTreeMap::new(),
        };
        let mut listed = BTreeSet::new();
        while listed.len() < Kind::ALL.len() {
            let (kind, event) = watch.next().await?;
            if matches!(event, Event::InitDone) {
                listed.insert(kind);
            }
            watch.apply(kind, event);
        }
        Ok(watch)
    }

    /// Waits for the next change. An API server that cannot be reached is waited for.
    pub(crate) async fn change(&mut self) -> Result<Change, Error> {
        let (kind, event) = self.next().await?;
        Ok(self.apply(kind, event))
    }

    async fn next(&mut self) -> Result<(Kind, Event<DynamicObject>), Error> {
        loop {
            let lost = Error::Kubernetes("the watch ended: run the command again".to_owned());
            let (kind, event) = self.events.next().await.ok_or(lost)?;
            match event {
                Ok(event) => return Ok((kind, event)),
                Err(
                    watcher::Error::InitialListFailed(error)
                    | watcher::Error::WatchStartFailed(error)
                    | watcher::Error::WatchFailed(error),
                ) if [401, 403, 404].into_iter().any(|code| has_code(&error, code)) => {
                    return Err(call(self.cluster, kind, "list and watch", "").error(&error));
                }
                Err(_) => {}
            }
        }
    }

    fn apply(&mut self, kind: Kind, event: Event<DynamicObject>) -> Change {
        match event {
            Event::Init => {
                self.listing.insert(kind, BTreeSet::new());
                Change::Nothing
            }
            Event::InitApply(object) => {
                let Some(request) = self.wanted(kind, object) else { return Change::Nothing };
                self.listing.entry(kind).or_default().insert(request.key());
                self.put(request)
            }
            Event::InitDone => {
                let listed = self.listing.remove(&kind).unwrap_or_default();
                self.requests.retain(|key, _| key.2 != kind || listed.contains(key));
                Change::Nothing
            }
            Event::Apply(object) => self.wanted(kind, object).map_or(Change::Nothing, |new| self.put(new)),
            Event::Delete(object) => {
                let key = self.wanted(kind, object).map(|request| request.key());
                let old = key.and_then(|key| self.requests.remove(&key));
                old.map_or(Change::Nothing, |old| Change::Deleted(Box::new(old)))
            }
        }
    }

    fn wanted(&self, kind: Kind, object: DynamicObject) -> Option<Request> {
        let request = read(kind, object)?;
        let is_wanted = self.only.as_ref().is_none_or(|only| only.contains(&request.key()));
        is_wanted.then_some(request)
    }

    fn put(&mut self, request: Request) -> Change {
        let key = request.key();
        let version = |request: &Request| (request.metadata().uid.clone(), request.metadata().generation);
        if let Some(known) = self.requests.get(&key) {
            let ((uid, generation), (new_uid, new_generation)) = (version(known), version(&request));
            // An own write is known before the watch reports it.
            if uid == new_uid && new_generation < generation {
                return Change::Nothing;
            }
        }
        let before = self.requests.insert(key.clone(), request).map(Box::new);
        Change::Changed { key, before }
    }
}
