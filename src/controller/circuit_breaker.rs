//! The circuit breaker as the shell uses it: shared, told the time, and telling its changes.
//!
//! An outage costs neither the CDE API nor the API server a storm, and nobody polls: [`CircuitBreaker::run`] wakes the
//! objects on hold. A [`Permit`] is the right to the calls of one attempt; dropped, it gives an unused probe back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::api::Status;
use crate::cde::model::Failure;
use crate::operation::{self, CallResult, CallState, Now, Settings, looks_down};
use crate::runtime::clock;

use super::connector_queue::ConnectorQueue;
use super::kind::Key;

/// A change of the state, and its cause in one sentence.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state from now on.
    pub state: CallState,
    /// Why.
    pub cause: String,
}

/// The circuit breaker; cheap to clone.
#[derive(Clone)]
pub struct CircuitBreaker {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    changes: UnboundedSender<Change>,
    queue: ConnectorQueue,
    started: Instant,
}

struct Inner {
    core: operation::CircuitBreaker<Key>,
    /// The state that was told last.
    told: CallState,
}

impl CircuitBreaker {
    /// A closed one, and the changes of its state from now on. `queue` says how many connectors are open.
    #[must_use]
    pub fn new(queue: ConnectorQueue, settings: &Settings) -> (Self, UnboundedReceiver<Change>) {
        let (changes, receiver) = unbounded_channel();
        let retry = (settings.retry_min, settings.retry_max);
        let core = operation::CircuitBreaker::new(&settings.server, retry);
        let inner = Arc::new(Mutex::new(Inner { core, told: CallState::Open }));
        let breaker = Self { inner, changed: Arc::default(), changes, queue, started: clock::monotonic() };
        (breaker, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the breaker whole: each change to it is complete.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn moment(&self) -> Now {
        Now { monotonic: self.now(), wall: clock::now() }
    }

    /// Whether no call for this object may go out now.
    pub(super) fn holds(&self, key: &Key) -> bool {
        !self.lock().core.lets_through(&key.uid, self.now())
    }

    /// The right to the calls of one attempt, if they may go out now.
    pub(super) fn try_acquire(&self, key: &Key) -> Option<Permit> {
        let may = self.lock().core.acquire(&key.uid, self.now());
        may.then(|| Permit { breaker: self.clone(), key: key.clone() })
    }

    /// Puts the object on hold: it is woken when calls may go out. `last_call`: the one that has waited longest goes
    /// first.
    pub(super) fn hold(&self, key: &Key, last_call: Timestamp) {
        self.lock().core.hold(key.uid.clone(), last_call, key.clone());
        self.changed.notify_one();
    }

    /// The object is gone.
    pub(super) fn remove(&self, key: &Key) {
        self.lock().core.remove(&key.uid);
        self.give_back(key);
    }

    /// The object does not call: a probe that it has is the next one's.
    pub(super) fn give_back(&self, key: &Key) {
        if self.lock().core.give_back(&key.uid) {
            self.changed.notify_one();
        }
    }

    /// At start: restores the state from what an open object says.
    pub(super) fn restore<R>(&self, status: &Status<R>) {
        let mut inner = self.lock();
        inner.core.restore(status, self.moment());
        self.tell(&mut inner, "an open request says so");
    }

    /// The token has changed: calls go out again.
    pub fn token_changed(&self) {
        let mut inner = self.lock();
        inner.core.token_changed();
        self.tell(&mut inner, "the token was replaced");
        self.changed.notify_one();
    }

    /// Whether calls go out.
    #[must_use]
    pub fn state(&self) -> CallState {
        self.lock().core.state(self.now())
    }

    /// When calls go out again, or the next probe; `None` while calls go out.
    #[must_use]
    pub fn resumes_in(&self) -> Option<Duration> {
        self.lock().core.resumes_in(self.now())
    }

    /// Wakes the objects on hold when the time comes; runs as long as the process.
    pub async fn run(&self) {
        loop {
            let next = {
                let mut inner = self.lock();
                let (woken, next) = inner.core.next_wakeup(self.now());
                woken.iter().for_each(Key::wake);
                self.tell(&mut inner, "the pause is over");
                next
            };
            let changed = self.changed.notified();
            match next {
                Some(at) => {
                    let _ = tokio::time::timeout_at((self.started + at).into(), changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// Tells a change of the state.
    fn tell(&self, inner: &mut Inner, cause: &str) {
        let state = inner.core.state(self.now());
        if std::mem::replace(&mut inner.told, state) == state {
            return;
        }
        match state {
            CallState::Open => tracing::info!(cause, "calls to the CDE API go out again"),
            CallState::Paused => tracing::warn!(cause, "rate limited by the CDE API; pausing all calls"),
            CallState::Down => tracing::warn!(cause, "the CDE API is down; one call at a time goes out"),
            CallState::TokenRejected => tracing::error!(
                cause,
                "the CDE API refuses the token; calls wait for another one in the token file"
            ),
        }
        // Nobody listens only in tests, or when the process stops.
        let _ = self.changes.send(Change { state, cause: cause.to_owned() });
    }
}

/// The right to the calls of one attempt.
pub(super) struct Permit {
    breaker: CircuitBreaker,
    key: Key,
}

impl Permit {
    /// Whether nothing has happened since it was given that holds the call back.
    pub(super) fn is_valid(&self) -> bool {
        !self.breaker.holds(&self.key)
    }

    /// Notes the result of a call that was made on it: `None` for a success. `token_changed`: the token that the call
    /// used has been replaced since.
    pub(super) fn report(&self, connector: Uuid, failure: Option<&Failure>, token_changed: bool) {
        let CircuitBreaker { queue, changed, .. } = &self.breaker;
        // Counted only where it matters: it looks at every open object.
        let open_connectors = if failure.is_some_and(looks_down) { queue.open_connectors() } else { 0 };
        let (uid, jitter) = (&*self.key.uid, clock::jitter());
        let call = CallResult { uid, connector, failure, token_changed, open_connectors, jitter };
        let mut inner = self.breaker.lock();
        inner.core.report(&call, self.breaker.moment());
        let cause = failure.map_or("a call succeeded", |failure| failure.message.as_str());
        self.breaker.tell(&mut inner, cause);
        changed.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.give_back(&self.key);
    }
}
