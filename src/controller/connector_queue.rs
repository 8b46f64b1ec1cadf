//! The shared connector queue: one request at a time per connector.
//!
//! The watch and this process's own writes update it. A request with an unverified attempt blocks its connector even
//! without a [`Turn`], also after a restart.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::operation::{Queue, QueueState, Queued};
use crate::runtime::clock;

use super::kind::{Key, Kind};

/// The queues of all connectors; cheap to clone.
#[derive(Clone)]
pub struct ConnectorQueue {
    server: Arc<str>,
    queue: Arc<Mutex<Queue<Key>>>,
}

impl ConnectorQueue {
    /// Returns an empty queue for an operator with this base URL.
    #[must_use]
    pub fn new(server: &str) -> Self {
        Self { server: server.into(), queue: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<Key>> {
        // Each change is complete, so the state is valid after a panic elsewhere.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update<K: Kind>(&self, key: &Key, object: &K) {
        let (spec, meta, status) = (object.request_spec(), object.meta(), object.status());
        let may_begin = !spec.suspend && meta.deletion_timestamp.is_none();
        let operation = status.and_then(|status| status.operation.as_ref());
        let request = Queued {
            uid: key.uid.clone(),
            key: key.clone(),
            rank: K::RANK,
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            state: QueueState::of(status, &self.server, may_begin),
            next_attempt: operation.and_then(|it| it.next_attempt_time.as_ref()).map(|time| time.0),
            open: status.is_none_or(|status| status.outcome.is_none()),
        };
        wake(self.lock().update(spec.connector, request, clock::now()));
    }

    pub(super) fn stand_aside(&self, key: &Key) {
        wake(self.lock().stand_aside(&key.uid, clock::now()));
    }

    pub(super) fn remove(&self, key: &Key) {
        wake(self.lock().remove(&key.uid, clock::now()));
    }

    /// Returns the request that goes before this one, if there is one, as `kind namespace/name`.
    pub(super) fn ahead_of(&self, key: &Key) -> Option<String> {
        self.lock().ahead_of(&key.uid, clock::now()).map(ToString::to_string)
    }

    pub(super) fn try_turn(&self, key: &Key) -> Option<Turn> {
        let is_next = self.lock().take_turn(&key.uid, clock::now());
        is_next.then(|| Turn { queue: self.clone(), key: key.clone() })
    }

    /// Returns the number of connectors that have an open request.
    #[must_use]
    pub fn open_connectors(&self) -> usize {
        self.lock().open_connectors()
    }
}

fn wake(next: Option<Key>) {
    if let Some(key) = next {
        key.wake();
    }
}

/// The exclusive use of a connector. Dropping it wakes the next request in line.
pub(super) struct Turn {
    queue: ConnectorQueue,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        wake(self.queue.lock().end_turn(&self.key.uid, clock::now()));
    }
}
