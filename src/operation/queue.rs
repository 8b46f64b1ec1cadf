//! The queue of each connector: one request at a time per connector.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::api::{Reason, Status};

/// The state of a request in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueState {
    /// It has claimed, or the effect of an attempt is unknown: no other request goes.
    Active,
    /// It goes when it is next in line.
    Ready,
    /// It is skipped: finished, suspended, being deleted, or waiting after an attempt without effect.
    Aside,
}

impl QueueState {
    /// Returns the state of a request with this status, for an operator with the base URL `server`, without regard to
    /// the time of a wait. `may_begin`: it is neither suspended nor being deleted.
    #[must_use]
    pub fn of<R>(status: Option<&Status<R>>, server: &str, may_begin: bool) -> Self {
        let operation = status.and_then(|status| status.operation.as_ref());
        let elsewhere = operation.and_then(|it| it.server.as_deref()).is_some_and(|its| its != server);
        if elsewhere || status.is_some_and(|status| status.outcome.is_some()) {
            return Self::Aside;
        }
        // The reason is Suspended only after a read has shown that the last attempt had no effect.
        let suspended = !may_begin && status.and_then(|status| status.reason) == Some(Reason::Suspended);
        if !suspended && operation.is_some_and(|it| it.in_flight.is_some() || it.is_unverified()) {
            return Self::Active;
        }
        if may_begin { Self::Ready } else { Self::Aside }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiter<'a> {
    uid: &'a str,
    rank: u8,
    created: Timestamp,
    state: QueueState,
}

/// Returns the request that goes first: an active one, otherwise by smallest rank, oldest, and smallest uid.
fn next_in_line<'a>(waiters: impl IntoIterator<Item = Waiter<'a>>) -> Option<Waiter<'a>> {
    waiters
        .into_iter()
        .filter(|waiter| waiter.state != QueueState::Aside)
        .min_by_key(|waiter| (waiter.state, waiter.rank, waiter.created, waiter.uid))
}

/// A request in the queue; `K` identifies its object.
#[derive(Clone, Debug)]
pub struct Queued<K> {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// Identifies the object.
    pub key: K,
    /// [`Operation::RANK`](super::Operation::RANK).
    pub rank: u8,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The state that its status implies.
    pub state: QueueState,
    /// The end of its wait.
    pub next_attempt: Option<Timestamp>,
    /// Whether it is unfinished.
    pub open: bool,
}

struct Entry<K> {
    request: Queued<K>,
    has_turn: bool,
    /// Whether it does nothing until its object changes, regardless of its status.
    at_rest: bool,
    /// Whether it was deleted during its turn.
    gone: bool,
}

impl<K> Entry<K> {
    fn waiter(&self, asking: &str, now: Timestamp) -> Waiter<'_> {
        let Queued { uid, rank, created, state, next_attempt, .. } = &self.request;
        let waits = next_attempt.is_some_and(|next| next > now);
        let state = match *state {
            _ if self.has_turn => QueueState::Active,
            // The request that asks is ready, even if its status says that it waits.
            QueueState::Active if !self.at_rest && !self.gone => QueueState::Active,
            _ if **uid == *asking => QueueState::Ready,
            QueueState::Ready if !self.at_rest && !self.gone && !waits => QueueState::Ready,
            _ => QueueState::Aside,
        };
        Waiter { uid, rank: *rank, created: *created, state }
    }
}

/// The queues of all connectors. Each change returns the request that it makes the next in line, to be woken.
pub struct Queue<K> {
    by_connector: HashMap<Uuid, Vec<Entry<K>>>,
    /// The connector of each request, by `metadata.uid`.
    connectors: HashMap<Arc<str>, Uuid>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { by_connector: HashMap::new(), connectors: HashMap::new() }
    }
}

impl<K: Clone> Queue<K> {
    /// Adds or updates a request.
    pub fn update(&mut self, connector: Uuid, request: Queued<K>, now: Timestamp) -> Option<K> {
        let uid = request.uid.clone();
        self.connectors.insert(uid.clone(), connector);
        let entries = self.by_connector.entry(connector).or_default();
        let Some(entry) = entries.iter_mut().find(|entry| entry.request.uid == uid) else {
            // Most connectors have one request, and a list has room for four by default.
            if entries.is_empty() {
                entries.reserve_exact(1);
            }
            entries.push(Entry { request, has_turn: false, at_rest: false, gone: false });
            return None;
        };
        let facts = |request: &Queued<K>| (request.state, request.next_attempt, request.open);
        if facts(&entry.request) == facts(&request) {
            return None;
        }
        (entry.request, entry.at_rest) = (request, false);
        self.next_besides(connector, &uid, now)
    }

    /// Skips the request until it changes.
    pub fn stand_aside(&mut self, uid: &str, now: Timestamp) -> Option<K> {
        let (connector, entry) = self.entry(uid)?;
        if std::mem::replace(&mut entry.at_rest, true) {
            return None;
        }
        self.next_besides(connector, uid, now)
    }

    /// Removes a deleted request, now or when its turn ends.
    pub fn remove(&mut self, uid: &str, now: Timestamp) -> Option<K> {
        let (connector, entry) = self.entry(uid)?;
        if entry.has_turn {
            entry.gone = true;
            return None;
        }
        self.connectors.remove(uid);
        let entries = self.by_connector.get_mut(&connector)?;
        entries.retain(|entry| *entry.request.uid != *uid);
        if entries.is_empty() {
            self.by_connector.remove(&connector);
        }
        self.next_besides(connector, uid, now)
    }

    /// Returns the request that goes before this one, if there is one.
    #[must_use]
    pub fn ahead_of(&self, uid: &str, now: Timestamp) -> Option<&K> {
        let first = self.first(*self.connectors.get(uid)?, uid, now)?;
        Some(first).filter(|first| *first.uid != *uid).map(|first| &first.key)
    }

    /// Starts the turn of this request, if it is next in line.
    pub fn take_turn(&mut self, uid: &str, now: Timestamp) -> bool {
        let is_next = self.ahead_of(uid, now).is_none();
        self.entry(uid).filter(|_| is_next).is_some_and(|(_, entry)| {
            entry.has_turn = true;
            true
        })
    }

    /// Ends the turn.
    pub fn end_turn(&mut self, uid: &str, now: Timestamp) -> Option<K> {
        let (connector, entry) = self.entry(uid)?;
        entry.has_turn = false;
        if entry.gone { self.remove(uid, now) } else { self.next_besides(connector, uid, now) }
    }

    /// Returns the number of connectors that have an open request.
    #[must_use]
    pub fn open_connectors(&self) -> usize {
        let mut all = self.by_connector.values();
        all.by_ref().filter(|entries| entries.iter().any(|entry| entry.request.open)).count()
    }

    fn entry(&mut self, uid: &str) -> Option<(Uuid, &mut Entry<K>)> {
        let connector = *self.connectors.get(uid)?;
        let entries = self.by_connector.get_mut(&connector)?;
        Some((connector, entries.iter_mut().find(|entry| *entry.request.uid == *uid)?))
    }

    /// Returns the first in line, as the request `asking` sees it.
    fn first(&self, connector: Uuid, asking: &str, now: Timestamp) -> Option<&Queued<K>> {
        let entries = self.by_connector.get(&connector)?;
        let first = next_in_line(entries.iter().map(|entry| entry.waiter(asking, now)))?;
        entries.iter().map(|entry| &entry.request).find(|request| *request.uid == *first.uid)
    }

    fn next_besides(&self, connector: Uuid, uid: &str, now: Timestamp) -> Option<K> {
        let first = self.first(connector, "", now).filter(|first| *first.uid != *uid);
        first.map(|first| first.key.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use crate::api::{InFlight, OperationRecord, Outcome};

    use super::*;

    fn waiter(uid: &str, rank: u8, second: i64, state: QueueState) -> Waiter<'_> {
        Waiter { uid, rank, created: Timestamp::from_second(second).unwrap(), state }
    }

    fn first<const N: usize>(waiters: [Waiter<'_>; N]) -> Option<&str> {
        next_in_line(waiters).map(|waiter| waiter.uid)
    }

    #[test]
    fn a_restore_goes_before_an_older_rollback() {
        use QueueState::Ready;
        assert_eq!(first([waiter("a", 1, 1, Ready), waiter("b", 0, 2, Ready)]), Some("b"));
    }

    #[test]
    fn the_oldest_goes_first_and_then_the_smallest_uid() {
        use QueueState::Ready;
        assert_eq!(first([waiter("a", 1, 2, Ready), waiter("b", 1, 1, Ready)]), Some("b"));
        assert_eq!(first([waiter("b", 1, 1, Ready), waiter("a", 1, 1, Ready)]), Some("a"));
    }

    #[test]
    fn an_active_request_is_not_overtaken() {
        let active = waiter("b", 1, 9, QueueState::Active);
        assert_eq!(first([waiter("a", 0, 1, QueueState::Ready), active]), Some("b"));
    }

    #[test]
    fn a_request_that_stands_aside_is_skipped() {
        let aside = waiter("a", 0, 1, QueueState::Aside);
        assert_eq!(first([aside.clone(), waiter("b", 1, 2, QueueState::Ready)]), Some("b"));
        assert_eq!(first([aside]), None);
    }

    fn queued(uid: &'static str, state: QueueState, open: bool) -> Queued<&'static str> {
        let created = Timestamp::UNIX_EPOCH;
        Queued { uid: uid.into(), key: uid, rank: 0, created, state, next_attempt: None, open }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(100).unwrap()
    }

    /// Two open requests for one connector: `a` goes before `b`.
    fn two() -> Queue<&'static str> {
        let mut queue = Queue::default();
        for uid in ["a", "b"] {
            assert_eq!(queue.update(Uuid::nil(), queued(uid, QueueState::Ready, true), now()), None);
        }
        queue
    }

    #[test]
    fn the_end_of_a_turn_wakes_the_next_in_line() {
        let mut queue = two();
        assert!(!queue.take_turn("b", now()));
        assert_eq!(queue.ahead_of("b", now()), Some(&"a"));
        assert!(queue.take_turn("a", now()));
        assert_eq!(queue.update(Uuid::nil(), queued("a", QueueState::Aside, false), now()), None);
        assert_eq!(queue.end_turn("a", now()), Some("b"));
        assert!(queue.take_turn("b", now()));
    }

    #[test]
    fn a_turn_outlives_its_object_and_leaves_no_entry() {
        let mut queue = two();
        assert!(queue.take_turn("a", now()));
        assert_eq!(queue.remove("a", now()), None);
        assert!(!queue.take_turn("b", now()), "its call may be in progress");
        assert_eq!(queue.end_turn("a", now()), Some("b"));
        assert_eq!(queue.remove("b", now()), None);
        assert!(queue.by_connector.is_empty() && queue.connectors.is_empty());
    }

    #[test]
    fn a_request_at_rest_is_skipped_until_it_changes() {
        let mut queue = two();
        queue.update(Uuid::nil(), queued("a", QueueState::Active, true), now());
        assert!(!queue.take_turn("b", now()), "the effect of its attempt is unknown");
        assert_eq!(queue.stand_aside("a", now()), Some("b"));
        assert_eq!(queue.update(Uuid::nil(), queued("a", QueueState::Active, true), now()), None);
        assert_eq!(queue.ahead_of("b", now()), None, "nothing about it has changed");
        queue.update(Uuid::nil(), queued("a", QueueState::Ready, true), now());
        assert_eq!(queue.ahead_of("b", now()), Some(&"a"));
    }

    #[test]
    fn a_waiting_request_is_skipped_until_its_wait_ends() {
        let mut queue = two();
        let waiting = Queued { next_attempt: Some(now()), ..queued("a", QueueState::Ready, true) };
        let before = Timestamp::from_second(99).unwrap();
        assert_eq!(queue.update(Uuid::nil(), waiting, before), Some("b"));
        assert_eq!(queue.ahead_of("b", before), None);
        assert_eq!(queue.ahead_of("b", now()), Some(&"a"));
    }

    #[test]
    fn a_reopened_request_takes_its_turn_again() {
        let mut queue = two();
        queue.update(Uuid::nil(), queued("a", QueueState::Aside, false), now());
        assert!(queue.take_turn("a", now()), "the request that asks is ready");
        assert_eq!(queue.ahead_of("b", now()), Some(&"a"));
    }

    /// An unfinished request that this operator has begun, with a change.
    fn begun(change: fn(&mut Status<()>, &mut OperationRecord)) -> Status<()> {
        let mut operation = OperationRecord { server: Some("here".to_owned()), ..OperationRecord::default() };
        let mut status = Status::default();
        change(&mut status, &mut operation);
        Status { operation: Some(operation), ..status }
    }

    fn claim() -> InFlight {
        InFlight { holder: "pod".to_owned(), attempt: 1, until: Time(now()) }
    }

    #[test]
    fn the_status_of_a_request_decides_whether_it_goes_waits_or_is_skipped() {
        use QueueState::{Active, Aside, Ready};
        let state = |status: &Status<()>| {
            [true, false].map(|may_begin| QueueState::of(Some(status), "here", may_begin))
        };
        assert_eq!([true, false].map(|may| QueueState::of::<()>(None, "here", may)), [Ready, Aside]);
        assert_eq!(state(&begun(|_, _| {})), [Ready, Aside]);
        assert_eq!(state(&begun(|_, operation| operation.in_flight = Some(claim()))), [Active, Active]);
        assert_eq!(state(&begun(|_, operation| operation.unknown_attempts = 1)), [Active, Active]);
        let elsewhere = begun(|_, operation| {
            operation.server = Some("elsewhere".to_owned());
            operation.in_flight = Some(claim());
        });
        assert_eq!(state(&elsewhere), [Aside, Aside]);
        let finished = begun(|status, operation| {
            status.outcome = Some(Outcome::Failed);
            operation.in_flight = Some(claim());
        });
        assert_eq!(state(&finished), [Aside, Aside]);
        let suspended = begun(|status, operation| {
            status.reason = Some(Reason::Suspended);
            operation.unknown_attempts = 1;
        });
        assert_eq!(state(&suspended), [Active, Aside], "a read has shown that the attempt had no effect");
    }

    #[test]
    fn a_connector_is_counted_while_it_has_an_open_request() {
        let mut queue = two();
        queue.update(Uuid::max(), queued("c", QueueState::Ready, true), now());
        assert_eq!(queue.open_connectors(), 2);
        queue.update(Uuid::max(), queued("c", QueueState::Aside, false), now());
        assert_eq!(queue.open_connectors(), 1);
    }
}
