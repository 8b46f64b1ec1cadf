//! Whether calls to the CDE API go out at all.
//!
//! - A 429 or an announced 503 pauses all calls until the time that was asked for.
//! - A refused token pauses them until the token changes, with one probe at a time meanwhile.
//! - After five calls in a row that found the API down, on at least two connectors if as many are open, one call at a
//!   time goes out (the half-open probe), for the object that has waited longest. Any other response ends that.
//!
//! An outage costs neither the CDE API nor the API server a storm, and nobody polls: [`CircuitBreaker::run`] wakes the
//! objects on hold. A [`Permit`] is the right to the calls of one attempt; dropped, it gives an unused probe back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::api::{Reason, Status};
use crate::cde::model::Failure;
use crate::operation::{Class, Settings, backoff, classify, looks_down, pauses_all};

use super::connector_queue::ConnectorQueue;
use super::kind::Key;

/// So many calls in a row find the API down before it counts as down.
const FAILURE_THRESHOLD: usize = 5;
/// An object that is offered the probe and does not use it in this time is passed over.
const OFFER: Duration = Duration::from_secs(5);
/// No pause is longer than this.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// Stored times have whole seconds: one is cut off where a wait starts, one is added where it ends.
const ROUNDING: Duration = Duration::from_secs(2);

/// Whether calls go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They do.
    Closed,
    /// Paused: the CDE API limits calls, or said when it will be back.
    Paused,
    /// The CDE API is down.
    Down,
    /// The CDE API refuses the token.
    Unauthorized,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Paused, Self::Down, Self::Unauthorized];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "open",
            Self::Paused => "paused",
            Self::Down => "down",
            Self::Unauthorized => "unauthorized",
        }
    }
}

/// A change of the state, and its cause in one sentence.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state from now on.
    pub state: State,
    /// Why.
    pub cause: String,
}

/// One call at a time goes out.
struct Tripped {
    state: State,
    probes: u32,
    next_probe: Instant,
    probe: Probe,
}

/// The half-open probe.
enum Probe {
    /// Nobody has it.
    Free,
    /// The object with this uid was woken to take it.
    Offered(Arc<str>, Instant),
    /// The object with this uid makes its call.
    Taken(Arc<str>),
}

#[derive(Default)]
struct Inner {
    paused_until: Option<Instant>,
    /// The newest error that the pause was restored from.
    restored_from: Option<Timestamp>,
    limits_in_a_row: u32,
    tripped: Option<Tripped>,
    /// Connectors of the calls in a row that found the API down.
    failures: Vec<Uuid>,
    /// The objects on hold, with their last calls.
    on_hold: HashMap<Arc<str>, (Timestamp, Key)>,
    /// The state that was told last.
    told: Option<State>,
}

/// The circuit breaker; cheap to clone.
#[derive(Clone)]
pub struct CircuitBreaker {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    changes: UnboundedSender<Change>,
    queue: ConnectorQueue,
    server: Arc<str>,
    retry: (Duration, Duration),
}

impl CircuitBreaker {
    /// A closed one, and the changes of its state from now on. `queue` says how many connectors are open.
    #[must_use]
    pub fn new(queue: ConnectorQueue, settings: &Settings) -> (Self, UnboundedReceiver<Change>) {
        let (changes, receiver) = unbounded_channel();
        let retry = (settings.retry_min, settings.retry_max);
        let server = settings.server.as_str().into();
        let (inner, changed) = (Arc::default(), Arc::default());
        (Self { inner, changed, changes, queue, server, retry }, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the breaker whole: each change to it is complete.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no call for this object may go out now.
    pub(super) fn holds(&self, key: &Key) -> bool {
        !self.lock().lets_through(&key.uid)
    }

    /// The right to the calls of one attempt, if they may go out now.
    pub(super) fn try_acquire(&self, key: &Key) -> Option<Permit> {
        let mut inner = self.lock();
        if !inner.lets_through(&key.uid) {
            return None;
        }
        if let Some(tripped) = &mut inner.tripped {
            tripped.probe = Probe::Taken(key.uid.clone());
        }
        Some(Permit { breaker: self.clone(), key: key.clone() })
    }

    /// Puts the object on hold: it is woken when calls may go out. `last_call`: the one that has waited longest goes
    /// first.
    pub(super) fn enqueue(&self, key: &Key, last_call: Timestamp) {
        self.lock().on_hold.insert(key.uid.clone(), (last_call, key.clone()));
        self.changed.notify_one();
    }

    /// The object is gone.
    pub(super) fn remove(&self, key: &Key) {
        self.lock().on_hold.remove(&key.uid);
        self.pass_on(key);
    }

    /// The object has been looked at and does not call: a probe that it was offered is the next one's.
    pub(super) fn pass_on(&self, key: &Key) {
        let mut inner = self.lock();
        if let Some(tripped) = &mut inner.tripped
            && matches!(&tripped.probe, Probe::Offered(uid, _) if *uid == key.uid)
        {
            tripped.probe = Probe::Free;
            self.changed.notify_one();
        }
    }

    /// At start: restores the state from what an open object says, if it says it about this server.
    pub(super) fn restore<R>(&self, status: &Status<R>) {
        let Some(operation) = status.operation.as_ref().filter(|_| status.outcome.is_none()) else { return };
        if operation.server.as_deref().is_some_and(|server| server != &*self.server) {
            return;
        }
        let mut inner = self.lock();
        if status.reason == Some(Reason::Unauthorized) && inner.tripped.is_none() {
            inner.trip(State::Unauthorized, (Duration::ZERO, Duration::ZERO));
        }
        let (Some(error), Some(start), Some(next)) =
            (&operation.last_error, &operation.wait_start_time, &operation.next_attempt_at)
        else {
            return;
        };
        let wait = Duration::try_from(next.0.duration_since(start.0)).unwrap_or_default();
        // A 503 pauses all only where it said for how long; what waits longer than any backoff was told so.
        let paused_all = error.code == Some(429) || (error.code == Some(503) && wait > self.retry.1);
        let left = Duration::try_from(next.0.duration_since(Timestamp::now())).unwrap_or_default();
        // No operator waits longer because of a response: one that claims so is not believed.
        let believable = wait <= LONGEST_PAUSE + ROUNDING;
        let is_newer = inner.restored_from.is_none_or(|at| at < error.at.0);
        if paused_all && believable && !left.is_zero() && is_newer {
            inner.restored_from = Some(error.at.0);
            inner.paused_until = Some(Instant::now() + left.min(LONGEST_PAUSE));
        }
        self.tell(&mut inner, "an open request says so");
    }

    /// The token has changed: calls go out again.
    pub fn token_changed(&self) {
        let mut inner = self.lock();
        if inner.tripped.as_ref().is_some_and(|tripped| tripped.state == State::Unauthorized) {
            inner.tripped = None;
        }
        self.tell(&mut inner, "the token was replaced");
        self.changed.notify_one();
    }

    /// Whether calls go out.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().state()
    }

    /// When calls go out again, or the next probe; `None` while calls go out.
    #[must_use]
    pub fn resumes_in(&self) -> Option<Duration> {
        let inner = self.lock();
        let tripped = inner.tripped.as_ref().map(|tripped| tripped.next_probe);
        let paused = inner.paused_until.filter(|until| *until > Instant::now());
        paused.max(tripped).map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Wakes the objects on hold when the time comes; runs as long as the process.
    pub async fn run(&self) {
        loop {
            let next = {
                let mut inner = self.lock();
                let (woken, next) = inner.next_wakeup();
                woken.iter().for_each(Key::wake);
                self.tell(&mut inner, "the pause is over");
                next
            };
            let changed = self.changed.notified();
            match next {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at.into(), changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// Tells a change of the state.
    fn tell(&self, inner: &mut Inner, cause: &str) {
        let state = inner.state();
        if inner.told.replace(state).unwrap_or(State::Closed) == state {
            return;
        }
        match state {
            State::Closed => tracing::info!(cause, "calls to the CDE API go out again"),
            State::Paused => tracing::warn!(cause, "rate limited by the CDE API; pausing all calls"),
            State::Down => tracing::warn!(cause, "the CDE API is down; one call at a time goes out"),
            State::Unauthorized => tracing::error!(
                cause,
                "the CDE API refuses the token; calls wait for another one in the token file"
            ),
        }
        // Nobody listens only in tests, or when the process stops.
        let _ = self.changes.send(Change { state, cause: cause.to_owned() });
    }

    /// Notes the result of a call: `None` for a success. `token_changed`: the token that it used has been replaced.
    fn report(&self, key: &Key, connector: Uuid, failure: Option<&Failure>, token_changed: bool) {
        let down = failure.is_some_and(looks_down);
        // Counted only where it matters: it looks at every open object.
        let open_connectors = if down { self.queue.open_connectors() } else { 0 };
        let mut inner = self.lock();
        let refused = failure.is_some_and(|failure| classify(failure, false) == Class::Unauthorized);
        if let Some(failure) = failure.filter(|failure| pauses_all(failure)) {
            inner.pause(failure, self.retry);
        } else {
            inner.limits_in_a_row = 0;
        }
        if down {
            inner.failures.push(connector);
            inner.count_failures(open_connectors, self.retry);
        } else {
            inner.failures.clear();
        }
        if refused && !token_changed {
            inner.trip(State::Unauthorized, self.retry);
        }
        if !down && !refused {
            inner.tripped = None;
        }
        inner.probed(&key.uid, self.retry);
        let cause = failure.map_or("a call succeeded", |failure| failure.message.as_str());
        self.tell(&mut inner, cause);
        drop(inner);
        self.changed.notify_one();
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
        self.breaker.report(&self.key, connector, failure, token_changed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        if let Some(tripped) = &mut inner.tripped
            && matches!(&tripped.probe, Probe::Taken(uid) if *uid == self.key.uid)
        {
            tripped.probe = Probe::Free;
            self.breaker.changed.notify_one();
        }
    }
}

impl Inner {
    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| until > Instant::now())
    }

    fn state(&self) -> State {
        match &self.tripped {
            Some(tripped) => tripped.state,
            None if self.is_paused() => State::Paused,
            None => State::Closed,
        }
    }

    /// While tripped, only the object that has the probe.
    fn lets_through(&self, uid: &str) -> bool {
        let is_probe = |tripped: &Tripped| match &tripped.probe {
            Probe::Free => false,
            Probe::Offered(its, _) | Probe::Taken(its) => **its == *uid,
        };
        !self.is_paused() && self.tripped.as_ref().is_none_or(is_probe)
    }

    fn pause(&mut self, failure: &Failure, (min, max): (Duration, Duration)) {
        self.limits_in_a_row = self.limits_in_a_row.saturating_add(1);
        let asked = failure.retry_at.map(|at| at.duration_since(Timestamp::now()));
        let wait = asked
            .and_then(|asked| Duration::try_from(asked).ok())
            .unwrap_or_else(|| backoff(self.limits_in_a_row, min, max, 1.0));
        let until = Instant::now() + wait.min(LONGEST_PAUSE);
        self.paused_until = self.paused_until.max(Some(until));
    }

    fn count_failures(&mut self, open_connectors: usize, retry: (Duration, Duration)) {
        let mut connectors = self.failures.clone();
        connectors.sort_unstable();
        connectors.dedup();
        if self.failures.len() >= FAILURE_THRESHOLD && connectors.len() >= open_connectors.min(2) {
            self.trip(State::Down, retry);
        }
        let surplus = self.failures.len().saturating_sub(4 * FAILURE_THRESHOLD);
        self.failures.drain(..surplus);
    }

    /// Lets one call at a time through. A refused token goes before an outage, which a response has ended.
    fn trip(&mut self, state: State, (min, max): (Duration, Duration)) {
        let kept = self.tripped.as_ref().map(|tripped| tripped.state);
        if kept == Some(state) || (state == State::Down && kept.is_some()) {
            return;
        }
        let next_probe = Instant::now() + backoff(1, min, max, 1.0);
        self.tripped = Some(Tripped { state, probes: 1, next_probe, probe: Probe::Free });
    }

    /// A probe has come back, and the breaker is still tripped: the next one, later.
    fn probed(&mut self, uid: &str, (min, max): (Duration, Duration)) {
        let Some(tripped) = &mut self.tripped else { return };
        if matches!(&tripped.probe, Probe::Taken(its) if **its == *uid) {
            tripped.probe = Probe::Free;
            tripped.probes = tripped.probes.saturating_add(1);
            let jitter = 0.5 + rand::random::<f64>() / 2.0;
            tripped.next_probe = Instant::now() + backoff(tripped.probes, min, max, jitter);
        }
    }

    /// The objects that are to be woken now, and when to look again.
    fn next_wakeup(&mut self) -> (Vec<Key>, Option<Instant>) {
        let now = Instant::now();
        if let Some(until) = self.paused_until {
            if until > now {
                return (Vec::new(), Some(until));
            }
            self.paused_until = None;
        }
        let Some(tripped) = &mut self.tripped else {
            let all = std::mem::take(&mut self.on_hold).into_values();
            return (all.map(|(_, key)| key).collect(), None);
        };
        match tripped.probe {
            Probe::Taken(_) => return (Vec::new(), None),
            Probe::Offered(_, since) if now.duration_since(since) < OFFER => {
                return (Vec::new(), Some(since + OFFER));
            }
            Probe::Offered(..) | Probe::Free => tripped.probe = Probe::Free,
        }
        if tripped.next_probe > now {
            return (Vec::new(), Some(tripped.next_probe));
        }
        let oldest = self.on_hold.iter().min_by_key(|(uid, (last_call, _))| (*last_call, (*uid).clone()));
        let Some(uid) = oldest.map(|(uid, _)| uid.clone()) else { return (Vec::new(), None) };
        let Some((_, key)) = self.on_hold.remove(&uid) else { return (Vec::new(), None) };
        tripped.probe = Probe::Offered(key.uid.clone(), now);
        (vec![key], Some(now + OFFER))
    }
}
