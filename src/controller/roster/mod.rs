//! The roster of open objects: whose turn it is, since when each waits, and how to wake it.
//!
//! It follows the watch and, without delay, the process's own writes. It holds a few words an object, not the
//! object; finished requests are not in it.

mod census;
mod entry;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::Outcome;
use crate::operation::{Contender, Standing, first};

use super::Managed;

pub use entry::Key;
use entry::{Entry, Facts, Life, Moment, created, fingerprint, pause, wish};
pub(super) use entry::{Waker, version};

#[derive(Default)]
struct Inner {
    /// By `metadata.uid`; boxed, for a table of large values wastes up to half of them.
    entries: HashMap<Arc<str>, Box<Entry>>,
    by_connector: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Objects that nobody here understands, by `metadata.uid`: their kind, and the watch that tells of them.
    undecodable: HashMap<Arc<str>, (&'static str, usize)>,
}

/// The roster; cheap to clone.
#[derive(Clone)]
pub struct Roster {
    server: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

impl Roster {
    /// An empty one, for an operator with this base address.
    #[must_use]
    pub fn new(server: &str) -> Self {
        Self { server: server.into(), inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the roster whole: each change to it is complete.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over an object from a write of this process.
    pub fn see<O: Managed>(&self, object: &O) {
        self.put(object, None);
    }

    /// Takes over an object from watch number `watch`; says whether it is worth a reconcile.
    pub(super) fn watched<O: Managed>(&self, object: &O, watch: usize, waker: &Waker) -> bool {
        self.put(object, Some((watch, waker)))
    }

    fn put<O: Managed>(&self, object: &O, from: Option<(usize, &Waker)>) -> bool {
        let Some(key) = Key::of::<O>(object.meta()) else { return false };
        let version = version(object.meta());
        let facts = Facts::of(object, &self.server);
        let done = object.status().and_then(|status| status.outcome).is_some_and(Outcome::is_final);
        let (wish, pause) = (wish(object), pause(object));
        let mut inner = self.lock();
        inner.undecodable.remove(&key.uid);
        let Some(entry) = inner.entries.get_mut(&key.uid) else {
            let Some((watch, waker)) = from.filter(|_| !done) else { return false };
            inner.add(Box::new(Entry {
                connector: object.wish().connector.into(),
                rank: O::RANK,
                created: created(object),
                since: Moment::now(),
                reserved: false,
                noticed: false,
                told: 0,
                interruptions: 0,
                warned: None,
                waker: Some(waker.clone()),
                key,
                version,
                facts,
                life: Life::Open,
                wish,
                pause,
                watch,
            }));
            return true;
        };
        if version < entry.version {
            return false;
        }
        entry.version = version;
        entry.life = entry.life.then(done, from.is_some());
        if let Some((watch, waker)) = from {
            entry.watch = watch;
            entry.waker = Some(waker.clone());
        }
        if entry.pause != pause {
            entry.pause = pause;
            entry.since = Moment::now();
        }
        let asks = from.is_some() && entry.wish != wish;
        entry.wish = wish;
        let changed = entry.facts != facts;
        entry.facts = facts;
        if changed {
            let connector = entry.connector.clone();
            inner.wake_others(&connector, &key.uid);
        }
        asks
    }

    /// Whether watch number `watch` tells nothing new of an object, for the roster has seen this version of it, or a
    /// newer one; then whether something is under way for it.
    pub(super) fn echoed(&self, meta: &ObjectMeta, watch: usize, waker: &Waker) -> Option<bool> {
        let mut inner = self.lock();
        let entry = inner.entries.get_mut(meta.uid.as_deref()?)?;
        if entry.life == Life::Gone || entry.version < version(meta) {
            return None;
        }
        entry.watch = watch;
        entry.waker = Some(waker.clone());
        Some(entry.facts.under_way)
    }

    /// The object is gone, or finished for good.
    pub fn forget(&self, key: &Key) {
        let mut inner = self.lock();
        inner.undecodable.remove(&key.uid);
        inner.remove(&key.uid);
    }

    /// After a list: what was not in it is gone.
    pub fn keep_only(&self, watch: usize, listed: &HashSet<Arc<str>>) {
        let mut inner = self.lock();
        inner.undecodable.retain(|uid, (_, seen_by)| *seen_by != watch || listed.contains(uid));
        let gone: Vec<Arc<str>> = inner
            .entries
            .values()
            .filter(|entry| entry.watch == watch && !listed.contains(&entry.key.uid))
            .map(|entry| entry.key.uid.clone())
            .collect();
        for uid in gone {
            inner.remove(&uid);
        }
    }

    /// Whether the object is open, as far as is known.
    #[must_use]
    pub fn knows(&self, key: &Key) -> bool {
        self.lock().entries.get(&key.uid).is_some_and(|entry| entry.life == Life::Open)
    }

    /// For how long this process has seen the present claim or wait of the object, and how far the wall clock
    /// was set since.
    #[must_use]
    pub fn seen(&self, key: &Key) -> (Duration, SignedDuration) {
        let inner = self.lock();
        inner.entries.get(&key.uid).map(|entry| entry.since.past()).unwrap_or_default()
    }

    /// Who for, if another request for the connector goes first.
    #[must_use]
    pub fn waits_for(&self, key: &Key, now: Timestamp) -> Option<String> {
        self.lock().ahead_of(&key.uid, now)
    }

    /// Takes the turn, if it is this object's.
    #[must_use]
    pub fn reserve(&self, key: &Key, now: Timestamp) -> bool {
        let mut inner = self.lock();
        if inner.ahead_of(&key.uid, now).is_some() {
            return false;
        }
        inner.entries.get_mut(&key.uid).is_some_and(|entry| {
            entry.reserved = true;
            true
        })
    }

    /// Gives the turn back; what the status says holds from now on.
    pub fn release(&self, key: &Key) {
        let mut inner = self.lock();
        let Some(entry) = inner.entries.get_mut(&key.uid) else { return };
        let turn_ends = std::mem::take(&mut entry.reserved);
        if entry.life == Life::Gone {
            inner.remove(&key.uid);
        } else if turn_ends {
            let connector = entry.connector.clone();
            inner.wake_others(&connector, &key.uid);
        }
    }

    /// True the first time for each object: for what is said once.
    #[must_use]
    pub fn first_notice(&self, key: &Key) -> bool {
        self.lock()
            .entries
            .get_mut(&key.uid)
            .is_some_and(|entry| !std::mem::replace(&mut entry.noticed, true))
    }

    /// True the first time for each request, by its `operation.id`: for the Event of its first wait. The status alone
    /// cannot tell one that waited and was claimed within the same second, for its times have whole seconds.
    #[must_use]
    pub fn first_wait(&self, key: &Key, request: &str) -> bool {
        let request = fingerprint(request);
        let mut inner = self.lock();
        let told = inner.entries.get_mut(&key.uid).map(|entry| std::mem::replace(&mut entry.told, request));
        told != Some(request)
    }

    /// True the first time for each object and `value`: for a warning about it.
    #[must_use]
    pub fn first_warning(&self, key: &Key, value: &str) -> bool {
        self.lock().entries.get_mut(&key.uid).is_some_and(|entry| {
            let first = entry.warned.as_deref() != Some(value);
            entry.warned = Some(value.to_owned());
            first
        })
    }

    /// Counts an interrupted pass; how many there were in a row.
    #[must_use]
    pub fn interrupted(&self, key: &Key) -> u32 {
        self.lock().entries.get_mut(&key.uid).map_or(1, |entry| {
            entry.interruptions = entry.interruptions.saturating_add(1);
            entry.interruptions
        })
    }

    /// A pass went through.
    pub fn went_through(&self, key: &Key) {
        if let Some(entry) = self.lock().entries.get_mut(&key.uid) {
            entry.interruptions = 0;
        }
    }

    /// Lets the object be looked at now; false where it is gone, or finished for good.
    #[must_use]
    pub fn wake(&self, key: &Key) -> bool {
        let inner = self.lock();
        let entry = inner.entries.get(&key.uid).filter(|entry| entry.life == Life::Open);
        entry.inspect(|entry| entry.wake()).is_some()
    }

    /// How many connectors have an open request.
    #[must_use]
    pub fn open_connectors(&self) -> usize {
        let inner = self.lock();
        inner
            .by_connector
            .values()
            .filter(|uids| uids.iter().any(|uid| inner.entries.get(uid).is_some_and(|e| !e.facts.finished)))
            .count()
    }
}

impl Inner {
    fn add(&mut self, entry: Box<Entry>) {
        self.by_connector.entry(entry.connector.clone()).or_default().push(entry.key.uid.clone());
        self.entries.insert(entry.key.uid.clone(), entry);
    }

    /// Takes the object out, now or when its turn ends.
    fn remove(&mut self, uid: &str) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        entry.life = Life::Gone;
        if entry.reserved {
            return;
        }
        let Some(entry) = self.entries.remove(uid) else { return };
        if let Some(uids) = self.by_connector.get_mut(&entry.connector) {
            uids.retain(|other| **other != *uid);
            if uids.is_empty() {
                self.by_connector.remove(&entry.connector);
            }
        }
        self.wake_others(&entry.connector, uid);
    }

    fn wake_others(&self, connector: &str, uid: &str) {
        let others = self.by_connector.get(connector).into_iter().flatten().filter(|other| ***other != *uid);
        others.filter_map(|other| self.entries.get(other)).for_each(|entry| entry.wake());
    }

    fn ahead_of(&self, uid: &str, now: Timestamp) -> Option<String> {
        let entry = self.entries.get(uid)?;
        let contenders = self.by_connector.get(&entry.connector).into_iter().flatten();
        let ahead = first(contenders.filter_map(|uid| self.entries.get(uid)).map(|other| Contender {
            uid: &other.key.uid,
            rank: other.rank,
            created: other.created,
            // Who asks is ready, whatever its status says of a wait.
            standing: match other.standing(now) {
                Standing::Aside if *other.key.uid == *uid => Standing::Ready,
                standing => standing,
            },
        }))?;
        self.entries.get(ahead.uid).filter(|other| *other.key.uid != *uid).map(|other| other.key.show())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use futures::channel::mpsc::unbounded;
    use kube::Resource as _;
    use serde_json::json;

    use super::census::Group;
    use super::*;
    use crate::api::ConnectorRestore;

    fn restore(version: u64, outcome: Option<&str>) -> ConnectorRestore {
        serde_json::from_value(json!({
            "apiVersion": "cde.productsup.com/v1alpha1",
            "kind": "ConnectorRestore",
            "metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": version.to_string()},
            "spec": {"connectorId": "497f6eca-6276-4993-bfeb-53cbbbba6f08"},
            "status": {"outcome": outcome},
        }))
        .unwrap()
    }

    #[test]
    fn old_news_of_a_finished_request_is_worth_nothing_until_the_watch_has_caught_up() {
        let (roster, (waker, _woken)) = (Roster::new("https://cde"), unbounded());
        let key = Key::of::<ConnectorRestore>(restore(1, None).meta()).unwrap();
        assert!(roster.watched(&restore(1, None), 0, &waker));
        roster.see(&restore(3, Some("Succeeded")));
        assert!(!roster.watched(&restore(2, None), 0, &waker), "it was finished since");
        assert!(!roster.knows(&key));
        assert!(roster.census().is_empty());

        roster.forget(&key);
        assert!(roster.watched(&restore(4, None), 0, &waker), "another life under the same name");
    }

    #[test]
    fn the_oldest_of_a_reason_counts_from_when_it_was_opened_or_has_failed() {
        let (roster, (waker, _woken)) = (Roster::new("https://cde"), unbounded());
        let object = |uid: &str, ready_since: Option<&str>| -> ConnectorRestore {
            let mut object = serde_json::to_value(restore(1, None)).unwrap();
            object["metadata"]["uid"] = uid.into();
            object["metadata"]["creationTimestamp"] = "1970-01-01T00:01:00Z".into();
            if let Some(since) = ready_since {
                object["status"]["reason"] = "Retrying".into();
                object["status"]["conditions"] = json!([{
                    "type": "Ready", "status": "Unknown", "reason": "Retrying", "message": "",
                    "lastTransitionTime": since,
                }]);
            }
            serde_json::from_value(object).unwrap()
        };
        for (uid, since) in [
            ("new", None),
            ("later", Some("1970-01-01T00:10:00Z")),
            ("first", Some("1970-01-01T00:05:00Z")),
            ("foreign", Some("1970-01-01T00:02:00Z")),
        ] {
            roster.watched(&object(uid, since), 0, &waker);
        }
        assert!(roster.first_notice(&Key::of::<ConnectorRestore>(object("foreign", None).meta()).unwrap()));

        let groups: Vec<_> =
            roster.census().into_iter().map(|((_, reason), group)| (reason, group)).collect();

        let group = |count, oldest| Group { count, oldest: Some(oldest) };
        assert_eq!(groups, [("New", group(1, 60)), ("Retrying", group(3, 300))]);
        assert_eq!(roster.others(), 1);
    }

    #[test]
    fn a_request_waits_for_the_first_time_once_and_one_that_is_opened_again_once_more() {
        let (roster, (waker, _woken)) = (Roster::new("https://cde"), unbounded());
        let key = Key::of::<ConnectorRestore>(restore(1, None).meta()).unwrap();
        roster.watched(&restore(1, None), 0, &waker);

        let first = ["one", "one", "two", "two"].map(|request| roster.first_wait(&key, request));

        assert_eq!(first, [true, false, true, false]);
    }

    #[test]
    fn what_cannot_be_decoded_counts_until_it_is_mended_deleted_or_no_longer_listed() {
        let (roster, (waker, _woken)) = (Roster::new("https://cde"), unbounded());
        let key = Key::of::<ConnectorRestore>(restore(1, None).meta()).unwrap();
        let count = || roster.census().get(&("ConnectorRestore", "Undecodable")).map(|group| group.count);
        assert!(roster.watched(&restore(1, None), 0, &waker));

        let ends: [&dyn Fn(); 3] =
            [&|| assert!(roster.watched(&restore(3, None), 0, &waker)), &|| roster.forget(&key), &|| {
                roster.keep_only(0, &HashSet::new());
            }];
        for end in ends {
            roster.set_aside(&key, 0);
            roster.keep_only(0, &HashSet::from([key.uid.clone()]));
            roster.keep_only(1, &HashSet::new());
            assert_eq!((count(), roster.knows(&key)), (Some(1), false));
            end();
            assert_eq!(count(), None);
        }
    }

    #[test]
    fn a_request_that_leaves_the_watch_before_its_own_write_is_answered_is_forgotten_with_its_turn() {
        let (roster, (waker, _woken)) = (Roster::new("https://cde"), unbounded());
        let key = Key::of::<ConnectorRestore>(restore(1, None).meta()).unwrap();
        assert!(roster.watched(&restore(1, None), 0, &waker));
        assert!(roster.reserve(&key, Timestamp::now()));
        roster.forget(&key);
        roster.see(&restore(3, Some("Succeeded")));
        assert!(!roster.knows(&key));

        roster.release(&key);
        assert!(roster.lock().entries.is_empty(), "it is kept for nothing");
    }
}
