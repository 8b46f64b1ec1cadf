//! What a watch tells, taken in: the cache, the roster, and what is worth a pass.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};

use crate::operation::{Observed, Situation, Step, decide, unreadable_retry};
use crate::text::describe;

use super::context::Context;
use super::packed::{Packed, Undecodable};
use super::roster::{Key, Waker};
use super::{Managed, Shared};

/// What takes in the events of one watch: it keeps the cache and the roster up, and says what is worth a pass.
pub(super) struct Intake<O: Managed> {
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
    pub(super) fn new(
        context: Arc<Context<O>>,
        cache: Writer<Packed<O>>,
        watch: usize,
        waker: Waker,
    ) -> Self {
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

    /// Takes an event in; what of it is worth a pass.
    pub(super) fn take(&mut self, event: watcher::Result<Event<Packed<O>>>) -> Vec<ObjectRef<Packed<O>>> {
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
        self.context.shared.roster.set_aside(key, self.watch);
        // In a list that is under way it is one of those that are there.
        self.uids.insert(key.uid.clone());
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
pub(super) fn reference<O: Managed>(key: &Key) -> ObjectRef<Packed<O>> {
    ObjectRef::new(&key.name).within(&key.namespace)
}
