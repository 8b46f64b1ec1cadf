//! The gate to the CDE API: whether calls go out at all.
//!
//! - A 429 or an announced 503 pauses all calls until the time that was asked for.
//! - A refused token pauses them until the token changes, one probe at a time meanwhile.
//! - After five calls in a row that found the API down, on at least two connectors if as many are open, one
//!   call at a time goes out, for the object that has waited longest since its last; any answer ends that.
//!
//! So an outage costs neither the CDE API nor the API server a storm, and nobody polls: who is held is woken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::api::{Reason, Status};
use crate::cde::model::Failure;
use crate::operation::{Class, Settings, backoff, classify, looks_down, pauses_all};

use super::roster::{Key, Roster};

/// So many calls in a row find the API down before it counts as down.
const ROW: usize = 5;
/// Who is offered the probe and does not call in this time is passed over.
const OFFER: Duration = Duration::from_secs(5);
/// Nobody pauses longer than this without asking again.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// Stored times have whole seconds: one is cut off where a wait begins, one is added where it ends.
const ROUNDING: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Down,
    Unauthorized,
}

struct Closed {
    cause: Cause,
    probes: u32,
    next_probe: Instant,
    prober: Option<Prober>,
}

struct Prober {
    uid: Arc<str>,
    offered: Instant,
    calling: bool,
}

#[derive(Default)]
struct Inner {
    paused_until: Option<Instant>,
    /// The newest error that the pause was rebuilt from.
    recalled: Option<Timestamp>,
    limits_in_a_row: u32,
    closed: Option<Closed>,
    /// Connectors of the calls in a row that found the API down.
    row: Vec<String>,
    /// Who is held, by its last call.
    waiting: BTreeMap<(Timestamp, Arc<str>), Key>,
}

/// The gate; cheap to clone.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    roster: Roster,
    server: Arc<str>,
    retry: (Duration, Duration),
}

impl Gate {
    /// An open gate, that wakes objects through `roster`.
    #[must_use]
    pub fn new(roster: Roster, settings: &Settings) -> Self {
        let retry = (settings.retry_min, settings.retry_max);
        let server = settings.server.as_str().into();
        Self { inner: Arc::default(), changed: Arc::default(), roster, server, retry }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the gate whole: each change to it is complete.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call for this object may go out now; who may not is noted, and woken.
    #[must_use]
    pub fn admits(&self, key: &Key, last_call: Timestamp) -> bool {
        let mut inner = self.lock();
        let open = inner.open_for(&key.uid);
        if open {
            inner.waiting.remove(&(last_call, key.uid.clone()));
        } else {
            inner.waiting.insert((last_call, key.uid.clone()), key.clone());
            self.changed.notify_one();
        }
        open
    }

    /// As [`Gate::admits`], and the call follows.
    #[must_use]
    pub fn enter(&self, key: &Key, last_call: Timestamp) -> bool {
        if !self.admits(key, last_call) {
            return false;
        }
        if let Some(prober) = self.lock().prober(&key.uid) {
            prober.calling = true;
        }
        true
    }

    /// Whether nothing has happened since [`Gate::enter`] that holds the call back.
    #[must_use]
    pub fn still_open(&self, key: &Key) -> bool {
        self.lock().open_for(&key.uid)
    }

    /// What came of a call: `None` for a success. `token_changed`: the token that it used has been replaced since.
    pub fn report(&self, key: &Key, connector: &str, failure: Option<&Failure>, token_changed: bool) {
        let down = failure.is_some_and(looks_down);
        // Counted only where it matters: it looks at every open object.
        let open_connectors = if down { self.roster.open_connectors() } else { 0 };
        let mut inner = self.lock();
        let refused = failure.is_some_and(|failure| classify(failure) == Class::Unauthorized);
        if let Some(failure) = failure.filter(|failure| pauses_all(failure)) {
            inner.pause(failure, self.retry);
        } else {
            inner.limits_in_a_row = 0;
        }
        if down {
            inner.row.push(connector.to_owned());
            inner.note_outage(open_connectors, self.retry);
        } else {
            inner.row.clear();
        }
        if refused && !token_changed {
            inner.close(Cause::Unauthorized, self.retry);
        }
        if !down && !refused && inner.closed.take().is_some() {
            tracing::info!("the CDE API takes calls again");
        }
        inner.probed(&key.uid, self.retry);
        drop(inner);
        self.changed.notify_one();
    }

    /// The pass over the object has ended: who was offered the probe and did not use it gives it back.
    pub fn done(&self, key: &Key) {
        let mut inner = self.lock();
        if inner.prober(&key.uid).is_some() {
            if let Some(closed) = &mut inner.closed {
                closed.prober = None;
            }
            self.changed.notify_one();
        }
    }

    /// At start: rebuilds the pause from what an open object says, if it says it of this server.
    pub fn recall<R>(&self, status: &Status<R>) {
        let Some(operation) = status.operation.as_ref().filter(|_| status.outcome.is_none()) else { return };
        if operation.server.as_deref().is_some_and(|server| server != &*self.server) {
            return;
        }
        let mut inner = self.lock();
        if status.reason == Some(Reason::Unauthorized) && inner.closed.is_none() {
            inner.close(Cause::Unauthorized, (Duration::ZERO, Duration::ZERO));
        }
        let (Some(error), Some(next)) = (&operation.last_error, &operation.next_attempt_at) else { return };
        let wait = Duration::try_from(next.0.duration_since(error.at.0)).unwrap_or_default();
        // A 503 paused all only where it said for how long; what waits longer than any backoff was told so.
        let paused_all = error.code == Some(429) || (error.code == Some(503) && wait > self.retry.1);
        let left = Duration::try_from(next.0.duration_since(Timestamp::now())).unwrap_or_default();
        // No operator waits longer because of an answer: whoever wrote that, it was none.
        let believable = wait <= LONGEST_PAUSE + ROUNDING;
        if paused_all && believable && !left.is_zero() && inner.recalled.is_none_or(|at| at < error.at.0) {
            inner.recalled = Some(error.at.0);
            inner.paused_until = Some(Instant::now() + left.min(LONGEST_PAUSE));
        }
    }

    /// The token has changed: calls go out again.
    pub fn token_changed(&self) {
        let mut inner = self.lock();
        if inner.closed.as_ref().is_some_and(|closed| closed.cause == Cause::Unauthorized) {
            inner.closed = None;
        }
        self.changed.notify_one();
    }

    /// Whether the token is refused at present.
    #[must_use]
    pub fn token_refused(&self) -> bool {
        self.lock().closed.as_ref().is_some_and(|closed| closed.cause == Cause::Unauthorized)
    }

    /// How calls stand, for the figures: `open`, `paused`, `down` or `unauthorized`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        let inner = self.lock();
        match &inner.closed {
            Some(Closed { cause: Cause::Down, .. }) => "down",
            Some(Closed { cause: Cause::Unauthorized, .. }) => "unauthorized",
            None if inner.paused() => "paused",
            None => "open",
        }
    }

    /// When calls go out again, or the next probe, for the figures; `None` while calls go out.
    #[must_use]
    pub fn resumes_in(&self) -> Option<Duration> {
        let inner = self.lock();
        let closed = inner.closed.as_ref().map(|closed| closed.next_probe);
        let paused = inner.paused_until.filter(|until| *until > Instant::now());
        paused.max(closed).map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Wakes who is held, when the time comes; runs as long as the process.
    pub async fn keep(&self) {
        loop {
            let (woken, next) = self.lock().turn();
            for key in &woken {
                if !self.roster.wake(key) {
                    // Nobody is there to use the probe: the next one may.
                    self.done(key);
                }
            }
            let changed = self.changed.notified();
            match next {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at.into(), changed).await;
                }
                None => changed.await,
            }
        }
    }
}

impl Inner {
    fn paused(&self) -> bool {
        self.paused_until.is_some_and(|until| until > Instant::now())
    }

    fn open_for(&self, uid: &str) -> bool {
        let probes = |closed: &Closed| closed.prober.as_ref().is_some_and(|prober| *prober.uid == *uid);
        !self.paused() && self.closed.as_ref().is_none_or(probes)
    }

    fn prober(&mut self, uid: &str) -> Option<&mut Prober> {
        self.closed.as_mut()?.prober.as_mut().filter(|prober| *prober.uid == *uid)
    }

    fn pause(&mut self, failure: &Failure, (min, max): (Duration, Duration)) {
        self.limits_in_a_row = self.limits_in_a_row.saturating_add(1);
        let asked = failure.retry_at.map(|at| at.duration_since(Timestamp::now()));
        let wait = asked
            .and_then(|asked| Duration::try_from(asked).ok())
            .unwrap_or_else(|| backoff(self.limits_in_a_row, min, max, 1.0));
        let until = Instant::now() + wait.min(LONGEST_PAUSE);
        if self.paused_until.is_none_or(|at| at < until) {
            tracing::warn!(seconds = wait.as_secs(), "the CDE API limits calls; all wait");
            self.paused_until = Some(until);
        }
    }

    fn note_outage(&mut self, open_connectors: usize, retry: (Duration, Duration)) {
        let mut connectors = self.row.clone();
        connectors.sort_unstable();
        connectors.dedup();
        if self.row.len() >= ROW && connectors.len() >= open_connectors.min(2) && self.closed.is_none() {
            tracing::warn!("the CDE API is down; one call at a time goes out");
            self.close(Cause::Down, retry);
        }
        let surplus = self.row.len().saturating_sub(4 * ROW);
        self.row.drain(..surplus);
    }

    fn close(&mut self, cause: Cause, (min, max): (Duration, Duration)) {
        if self.closed.as_ref().is_some_and(|closed| closed.cause == cause) {
            return;
        }
        if cause == Cause::Unauthorized {
            tracing::error!("the CDE API refuses the token; calls wait for another one in the token file");
        }
        let next_probe = Instant::now() + backoff(1, min, max, 1.0);
        self.closed = Some(Closed { cause, probes: 1, next_probe, prober: None });
    }

    /// A probe has come back, and the gate is still closed: the next one, later.
    fn probed(&mut self, uid: &str, (min, max): (Duration, Duration)) {
        let Some(closed) = &mut self.closed else { return };
        if closed.prober.as_ref().is_some_and(|prober| *prober.uid == *uid) {
            closed.prober = None;
            closed.probes = closed.probes.saturating_add(1);
            closed.next_probe =
                Instant::now() + backoff(closed.probes, min, max, 0.5 + rand::random::<f64>() / 2.0);
        }
    }

    /// Who is to be woken now, and when to look again.
    fn turn(&mut self) -> (Vec<Key>, Option<Instant>) {
        let now = Instant::now();
        if let Some(until) = self.paused_until {
            if until > now {
                return (Vec::new(), Some(until));
            }
            self.paused_until = None;
        }
        let Some(closed) = &mut self.closed else {
            return (std::mem::take(&mut self.waiting).into_values().collect(), None);
        };
        if closed.prober.as_ref().is_some_and(|p| !p.calling && now.duration_since(p.offered) >= OFFER) {
            closed.prober = None;
        }
        if let Some(prober) = &closed.prober {
            return (Vec::new(), (!prober.calling).then(|| prober.offered + OFFER));
        }
        if closed.next_probe > now {
            return (Vec::new(), Some(closed.next_probe));
        }
        let Some((_, key)) = self.waiting.pop_first() else { return (Vec::new(), None) };
        closed.prober = Some(Prober { uid: key.uid.clone(), offered: now, calling: false });
        (vec![key], Some(now + OFFER))
    }
}
