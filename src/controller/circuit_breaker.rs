//! The shared circuit breaker: adds clocks and notifications to the one of [`operation`].
//!
//! [`CircuitBreaker::run`] wakes the objects on hold, so nothing polls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::api::Status;
use crate::cde::model::Failure;
use crate::operation::{self, BreakerState, CallResult, Now, Settings, looks_down};
use crate::runtime::clock;

use super::connector_queue::ConnectorQueue;
use super::kind::Key;

/// A change of the state.
#[derive(Clone, Debug)]
pub struct Change {
    /// The new state.
    pub state: BreakerState,
    /// The cause, in one sentence.
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
    announced: BreakerState,
}

impl CircuitBreaker {
    /// Returns a closed breaker and the changes of its state.
    #[must_use]
    pub fn new(queue: ConnectorQueue, settings: &Settings) -> (Self, UnboundedReceiver<Change>) {
        let (changes, receiver) = unbounded_channel();
        let retry = (settings.retry_min, settings.retry_max);
        let core = operation::CircuitBreaker::new(&settings.server, retry);
        let inner = Arc::new(Mutex::new(Inner { core, announced: BreakerState::Closed }));
        let breaker = Self { inner, changed: Arc::default(), changes, queue, started: clock::monotonic() };
        (breaker, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete, so the state is valid after a panic elsewhere.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn moment(&self) -> Now {
        Now { monotonic: self.now(), wall: clock::now() }
    }

    pub(super) fn holds(&self, key: &Key) -> bool {
        !self.lock().core.lets_through(&key.uid, self.now())
    }

    /// Returns a permit, if calls of this object are allowed now.
    pub(super) fn try_acquire(&self, key: &Key) -> Option<Permit> {
        let may = self.lock().core.acquire(&key.uid, self.now());
        may.then(|| Permit { breaker: self.clone(), key: key.clone() })
    }

    /// Puts the object on hold: it is woken when calls are allowed, in the order of `last_call`.
    pub(super) fn hold(&self, key: &Key, last_call: Timestamp) {
        self.lock().core.hold(key.uid.clone(), last_call, key.clone());
        self.changed.notify_one();
    }

    pub(super) fn remove(&self, key: &Key) {
        self.lock().core.remove(&key.uid);
        self.return_probe(key);
    }

    pub(super) fn return_probe(&self, key: &Key) {
        if self.lock().core.return_probe(&key.uid) {
            self.changed.notify_one();
        }
    }

    /// Restores the state at startup from the status of an open object.
    pub(super) fn restore<R>(&self, status: &Status<R>) {
        let mut inner = self.lock();
        inner.core.restore(status, self.moment());
        self.announce(&mut inner, "restored from the status of an open request");
    }

    /// Allows no call until the token changes.
    pub fn login_required(&self) {
        let mut inner = self.lock();
        inner.core.login_required();
        self.announce(&mut inner, "the login has expired, was revoked or cannot be renewed");
        // What waits for a probe says from now on that it waits for a login.
        self.changed.notify_one();
    }

    /// Allows calls again after the token has changed.
    pub fn token_changed(&self) {
        let mut inner = self.lock();
        inner.core.token_changed();
        self.announce(&mut inner, "the token was replaced");
        self.changed.notify_one();
    }

    /// Returns whether calls are allowed.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.lock().core.state(self.now())
    }

    /// Returns the time until calls are allowed or the next probe; `None` while calls are allowed.
    #[must_use]
    pub fn resumes_in(&self) -> Option<Duration> {
        self.lock().core.resumes_in(self.now())
    }

    /// Wakes the objects on hold when calls are allowed. Never returns.
    pub async fn run(&self) {
        loop {
            let next = {
                let mut inner = self.lock();
                let (woken, next) = inner.core.next_wakeup(self.now());
                woken.iter().for_each(Key::wake);
                self.announce(&mut inner, "the pause is over");
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

    fn announce(&self, inner: &mut Inner, cause: &str) {
        let state = inner.core.state(self.now());
        if std::mem::replace(&mut inner.announced, state) == state {
            return;
        }
        match state {
            BreakerState::Closed => tracing::info!(cause, "resuming calls to the CDE API"),
            BreakerState::Paused => tracing::warn!(cause, "rate limited by the CDE API; pausing all calls"),
            BreakerState::Down => tracing::warn!(cause, "the CDE API is down; allowing one call at a time"),
            BreakerState::TokenRejected => tracing::error!(
                cause,
                "the CDE API rejects the token; pausing all calls until the token changes"
            ),
            BreakerState::LoginRequired => {
                tracing::error!(cause, "a CDE login is required; pausing all calls until there is one");
            }
        }
        // The receiver is gone only in tests and at shutdown.
        let _ = self.changes.send(Change { state, cause: cause.to_owned() });
    }
}

/// The permission to make the calls of one attempt. Returns an unused probe when dropped.
pub(super) struct Permit {
    breaker: CircuitBreaker,
    key: Key,
}

impl Permit {
    pub(super) fn is_valid(&self) -> bool {
        !self.breaker.holds(&self.key)
    }

    /// Reports the result of a call: `None` for a success. `token_changed`: the token has been replaced since the call.
    pub(super) fn report(&self, connector: Uuid, failure: Option<&Failure>, token_changed: bool) {
        let CircuitBreaker { queue, changed, .. } = &self.breaker;
        // Counting iterates over all requests, so do it only if needed.
        let open_connectors = if failure.is_some_and(looks_down) { queue.open_connectors() } else { 0 };
        let (uid, jitter) = (&*self.key.uid, clock::jitter());
        let call = CallResult { uid, connector, failure, token_changed, open_connectors, jitter };
        let mut inner = self.breaker.lock();
        inner.core.report(&call, self.breaker.moment());
        let cause = failure.map_or("a call succeeded", |failure| failure.message.as_str());
        self.breaker.announce(&mut inner, cause);
        changed.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.return_probe(&self.key);
    }
}
