//! One request at a time per connector: a lock per connector, with a queue.
//!
//! The queue knows a few facts about each request: it is fed by the watch and by this process's own writes. A [`Turn`]
//! is the lock: dropped, it wakes the next in line. A request whose status says that an attempt is open holds its
//! connector without a turn, also after a restart and whichever process claimed it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::api::Status;
use crate::operation::{QueueState, Waiter, next_in_line};

use super::kind::{Key, Kind};

/// The queue of every connector; cheap to clone.
#[derive(Clone)]
pub struct ConnectorQueue {
    server: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    by_connector: HashMap<u128, Vec<Entry>>,
    /// The connector of each request, by `metadata.uid`.
    connectors: HashMap<Arc<str>, u128>,
}

/// A request for a connector.
struct Entry {
    key: Key,
    rank: u8,
    created: Timestamp,
    /// What its status says.
    state: QueueState,
    /// When the wait that it is in ends.
    next_attempt: Option<Timestamp>,
    /// It does nothing until it changes, whatever its status says: nobody waits for it.
    at_rest: bool,
    has_turn: bool,
    /// Finished requests are no reason to believe that the CDE API is up or down.
    open: bool,
    /// It was deleted during its turn.
    gone: bool,
}

impl Entry {
    fn state(&self, now: Timestamp) -> QueueState {
        match self.state {
            _ if self.has_turn => QueueState::Active,
            _ if self.at_rest || self.gone => QueueState::Aside,
            QueueState::Ready if self.next_attempt.is_some_and(|next| next > now) => QueueState::Aside,
            state => state,
        }
    }

    fn waiter(&self, asking: &str, now: Timestamp) -> Waiter<'_> {
        let state = match self.state(now) {
            // The one that asks is ready, whatever its status says about a wait.
            QueueState::Aside if *self.key.uid == *asking => QueueState::Ready,
            state => state,
        };
        Waiter { uid: &self.key.uid, rank: self.rank, created: self.created, state }
    }
}

impl ConnectorQueue {
    /// An empty one, for an operator with this base URL.
    #[must_use]
    pub fn new(server: &str) -> Self {
        Self { server: server.into(), inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the queue whole: each change to it is complete.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the newest version of an object says, and wakes the next in line if that ends a turn.
    pub(super) fn update<K: Kind>(&self, key: &Key, object: &K) {
        let (spec, meta) = (object.request_spec(), object.meta());
        let may_begin = !spec.suspend && meta.deletion_timestamp.is_none();
        let status = object.status();
        let state = QueueState::of(status, &self.server, may_begin);
        let next_attempt = status.and_then(next_attempt);
        let open = status.is_none_or(|status| status.outcome.is_none());
        let connector = spec.connector.as_u128();
        let mut inner = self.lock();
        inner.connectors.insert(key.uid.clone(), connector);
        let entries = inner.by_connector.entry(connector).or_default();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
            let changed = (entry.state, entry.next_attempt, entry.open) != (state, next_attempt, open);
            (entry.state, entry.next_attempt, entry.open) = (state, next_attempt, open);
            if changed {
                entry.at_rest = false;
                inner.wake_next(connector, &key.uid);
            }
        } else {
            let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
            let (key, rank) = (key.clone(), K::RANK);
            let (at_rest, has_turn, gone) = (false, false, false);
            entries.push(Entry { key, rank, created, state, next_attempt, at_rest, has_turn, open, gone });
        }
    }

    /// The request does nothing until it changes: nobody waits for it.
    pub(super) fn stand_aside(&self, key: &Key) {
        let mut inner = self.lock();
        let Some((connector, entry)) = inner.entry(&key.uid) else { return };
        if !std::mem::replace(&mut entry.at_rest, true) {
            inner.wake_next(connector, &key.uid);
        }
    }

    /// The object is gone, now or when its turn ends.
    pub(super) fn remove(&self, key: &Key) {
        let mut inner = self.lock();
        let Some((connector, entry)) = inner.entry(&key.uid) else { return };
        if entry.has_turn {
            entry.gone = true;
        } else {
            inner.drop_entry(connector, &key.uid);
        }
    }

    /// The request that goes before this one, if one does, as `kind namespace/name`.
    pub(super) fn ahead_of(&self, key: &Key) -> Option<String> {
        self.lock().ahead_of(&key.uid).map(ToString::to_string)
    }

    /// Takes the turn, if this request is the next in line.
    pub(super) fn try_turn(&self, key: &Key) -> Option<Turn> {
        let mut inner = self.lock();
        if inner.ahead_of(&key.uid).is_some() {
            return None;
        }
        inner.entry(&key.uid)?.1.has_turn = true;
        Some(Turn { queue: self.clone(), key: key.clone() })
    }

    /// How many connectors have an open request.
    #[must_use]
    pub fn open_connectors(&self) -> usize {
        self.lock().by_connector.values().filter(|entries| entries.iter().any(|entry| entry.open)).count()
    }
}

fn next_attempt<R>(status: &Status<R>) -> Option<Timestamp> {
    status.operation.as_ref()?.next_attempt_at.as_ref().map(|time| time.0)
}

impl Inner {
    fn entry(&mut self, uid: &str) -> Option<(u128, &mut Entry)> {
        let connector = *self.connectors.get(uid)?;
        let entries = self.by_connector.get_mut(&connector)?;
        Some((connector, entries.iter_mut().find(|entry| *entry.key.uid == *uid)?))
    }

    fn drop_entry(&mut self, connector: u128, uid: &str) {
        self.connectors.remove(uid);
        if let Some(entries) = self.by_connector.get_mut(&connector) {
            entries.retain(|entry| *entry.key.uid != *uid);
            if entries.is_empty() {
                self.by_connector.remove(&connector);
            }
        }
        self.wake_next(connector, uid);
    }

    /// The first in line, as the request `asking` sees it.
    fn first(&self, connector: u128, asking: &str) -> Option<&Key> {
        let (entries, now) = (self.by_connector.get(&connector)?, Timestamp::now());
        let first = next_in_line(entries.iter().map(|entry| entry.waiter(asking, now)))?;
        entries.iter().map(|entry| &entry.key).find(|key| *key.uid == *first.uid)
    }

    fn ahead_of(&self, uid: &str) -> Option<&Key> {
        self.first(*self.connectors.get(uid)?, uid).filter(|first| *first.uid != *uid)
    }

    fn wake_next(&self, connector: u128, besides: &str) {
        if let Some(first) = self.first(connector, "").filter(|first| *first.uid != *besides) {
            first.wake();
        }
    }
}

/// The right to make calls about a connector. Dropped, it is the next one's turn.
pub(super) struct Turn {
    queue: ConnectorQueue,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        let Some((connector, entry)) = inner.entry(&self.key.uid) else { return };
        entry.has_turn = false;
        if entry.gone {
            inner.drop_entry(connector, &self.key.uid);
        } else {
            inner.wake_next(connector, &self.key.uid);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use futures::channel::mpsc::{UnboundedReceiver, unbounded};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::ConnectorRestore;

    fn request(name: &str, status: Value) -> ConnectorRestore {
        serde_json::from_value(json!({
            "apiVersion": "cde.productsup.com/v1alpha1",
            "kind": "ConnectorRestore",
            "metadata": {"name": name, "namespace": "b", "uid": name},
            "spec": {"connectorId": "497f6eca-6276-4993-bfeb-53cbbbba6f08"},
            "status": status,
        }))
        .unwrap()
    }

    fn open() -> Value {
        json!({})
    }

    /// Two open requests for one connector, and what is woken.
    fn two() -> (ConnectorQueue, [Key; 2], UnboundedReceiver<Key>) {
        let (queue, (waker, woken)) = (ConnectorQueue::new("https://cde"), unbounded());
        let keys = ["first", "second"].map(|name| {
            let object = request(name, open());
            let key = Key::of::<ConnectorRestore>(&object.metadata, &waker).unwrap();
            queue.update(&key, &object);
            key
        });
        (queue, keys, woken)
    }

    fn woken(receiver: &mut UnboundedReceiver<Key>) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv().ok()).map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn a_turn_that_is_dropped_wakes_the_next_in_line() {
        let (queue, [first, second], mut receiver) = two();
        assert!(queue.try_turn(&second).is_none());
        assert_eq!(queue.ahead_of(&second).as_deref(), Some("ConnectorRestore b/first"));
        let turn = queue.try_turn(&first).unwrap();
        queue.update(&first, &request("first", json!({"outcome": "Succeeded"})));
        assert_eq!(woken(&mut receiver), Vec::<String>::new());
        drop(turn);
        assert_eq!(woken(&mut receiver), ["second"]);
        assert!(queue.try_turn(&second).is_some());
    }

    #[test]
    fn a_turn_outlives_its_object_and_leaves_nothing_behind() {
        let (queue, [first, second], mut receiver) = two();
        let turn = queue.try_turn(&first).unwrap();
        queue.remove(&first);
        assert!(queue.try_turn(&second).is_none(), "its call may be in progress");
        drop(turn);
        assert_eq!(woken(&mut receiver), ["second"]);
        queue.remove(&second);
        assert!(queue.lock().by_connector.is_empty() && queue.lock().connectors.is_empty());
    }

    #[test]
    fn a_request_at_rest_holds_nobody_up_until_it_changes() {
        let (queue, [first, second], mut receiver) = two();
        let claimed = |attempts: u32| {
            request(
                "first",
                json!({"operation": {"id": "o", "attempts": attempts, "retries": 0, "unknownAttempts": 1}}),
            )
        };
        queue.update(&first, &claimed(1));
        assert!(queue.try_turn(&second).is_none(), "the effect of its attempt is open");
        queue.stand_aside(&first);
        assert_eq!(woken(&mut receiver), ["second"]);
        queue.update(&first, &claimed(1));
        assert!(queue.try_turn(&second).is_some(), "nothing about it has changed");
    }
}
