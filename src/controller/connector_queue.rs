//! One request at a time per connector: a lock per connector, with a queue.
//!
//! It is fed by the watch and by this process's own writes. A [`Turn`] is the lock: dropped, it wakes the next in line. A
//! request whose status says that an attempt is open holds its connector without a turn, also after a restart and
//! whichever process claimed it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::operation::{Queue, QueueState, Queued};
use crate::runtime::clock;

use super::kind::{Key, Kind};

/// The queue of every connector; cheap to clone.
#[derive(Clone)]
pub struct ConnectorQueue {
    server: Arc<str>,
    queue: Arc<Mutex<Queue<Key>>>,
}

impl ConnectorQueue {
    /// An empty one, for an operator with this base URL.
    #[must_use]
    pub fn new(server: &str) -> Self {
        Self { server: server.into(), queue: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<Key>> {
        // A panic elsewhere leaves the queue whole: each change to it is complete.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the newest version of an object says.
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

    /// The request does nothing until it changes: nobody waits for it.
    pub(super) fn stand_aside(&self, key: &Key) {
        wake(self.lock().stand_aside(&key.uid, clock::now()));
    }

    /// The object is gone, now or when its turn ends.
    pub(super) fn remove(&self, key: &Key) {
        wake(self.lock().remove(&key.uid, clock::now()));
    }

    /// The request that goes before this one, if one does, as `kind namespace/name`.
    pub(super) fn ahead_of(&self, key: &Key) -> Option<String> {
        self.lock().ahead_of(&key.uid, clock::now()).map(ToString::to_string)
    }

    /// Takes the turn, if this request is the next in line.
    pub(super) fn try_turn(&self, key: &Key) -> Option<Turn> {
        let is_next = self.lock().take_turn(&key.uid, clock::now());
        is_next.then(|| Turn { queue: self.clone(), key: key.clone() })
    }

    /// How many connectors have an open request.
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

/// The right to make calls about a connector. Dropped, it is the next one's turn.
pub(super) struct Turn {
    queue: ConnectorQueue,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        wake(self.queue.lock().end_turn(&self.key.uid, clock::now()));
    }
}
