//! The circuit breaker for calls to the CDE API, as a value: time is an argument.
//!
//! - A 429, or a 503 with a time, pauses all calls until the requested time.
//! - A rejected token pauses all calls but one probe at a time, until the token changes.
//! - Without a usable login, no call is allowed until the token changes.
//! - After five calls in a row that indicate an outage, on at least two connectors if two have open requests, only one
//!   call at a time is allowed (the half-open probe), for the object that has waited longest. Any other response ends
//!   this state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::api::{Reason, Status};
use crate::cde::model::Failure;

use super::backoff::backoff;
use super::classify::{Class, classify, looks_down, pauses_all};

/// Failures in a row after which the API counts as down.
const FAILURE_THRESHOLD: u32 = 5;
/// An object that is offered the probe must use it within this time.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// Stored times have whole seconds: the start of a wait is rounded down and its end is rounded up.
const ROUNDING: Duration = Duration::from_secs(2);

/// The state of the circuit breaker: whether calls are allowed, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls are allowed.
    Closed,
    /// The CDE API limits calls, or said when it will be available again.
    Paused,
    /// The CDE API is down.
    Down,
    /// The CDE API rejects the token.
    TokenRejected,
    /// There is no usable token until a person logs in.
    LoginRequired,
}

impl BreakerState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Closed, Self::Paused, Self::Down, Self::TokenRejected, Self::LoginRequired];

    /// Returns the label in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Paused => "paused",
            Self::Down => "down",
            Self::TokenRejected => "token_rejected",
            Self::LoginRequired => "login_required",
        }
    }
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock: time since any fixed moment.
    pub monotonic: Duration,
    /// The wall clock.
    pub wall: Timestamp,
}

/// The result of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallResult<'a> {
    /// `metadata.uid` of the object.
    pub uid: &'a str,
    /// The connector.
    pub connector: Uuid,
    /// Why the call failed; `None` for a success.
    pub failure: Option<&'a Failure>,
    /// The token of the call has been replaced since.
    pub token_changed: bool,
    /// The number of connectors that have an open request.
    pub open_connectors: usize,
    /// Uniformly random in 0..1: the jitter of the next probe.
    pub jitter: f64,
}

/// The breaker allows one call at a time.
struct Tripped {
    state: BreakerState,
    probes: u32,
    next_probe: Duration,
    probe: Probe,
}

/// The half-open probe.
enum Probe {
    Free,
    /// The object with this uid was woken at this time to take the probe.
    Offered(Arc<str>, Duration),
    /// The object with this uid makes its call.
    Taken(Arc<str>),
}

/// Failures in a row that indicate an outage.
struct Failures {
    count: u32,
    connector: Uuid,
    on_several: bool,
}

/// The circuit breaker; `K` identifies an object on hold.
pub struct CircuitBreaker<K> {
    server: String,
    retry: (Duration, Duration),
    paused_until: Option<Duration>,
    /// The time of the newest error that the pause was restored from.
    restored_from: Option<Timestamp>,
    limits_in_a_row: u32,
    tripped: Option<Tripped>,
    failures: Option<Failures>,
    /// There is no usable token until a person logs in.
    login_required: bool,
    /// The objects on hold have not been woken since, to say so.
    untold: bool,
    /// The objects on hold, by uid, with the times of their last calls.
    on_hold: HashMap<Arc<str>, (Timestamp, K)>,
}

impl<K> CircuitBreaker<K> {
    /// Returns a closed breaker for the server with this base URL. `retry`: first and longest backoff of probes.
    #[must_use]
    pub fn new(server: &str, retry: (Duration, Duration)) -> Self {
        Self {
            server: server.to_owned(),
            retry,
            paused_until: None,
            restored_from: None,
            limits_in_a_row: 0,
            tripped: None,
            failures: None,
            login_required: false,
            untold: false,
            on_hold: HashMap::new(),
        }
    }

    fn is_paused(&self, now: Duration) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// Returns whether calls are allowed.
    #[must_use]
    pub fn state(&self, now: Duration) -> BreakerState {
        match &self.tripped {
            _ if self.login_required => BreakerState::LoginRequired,
            Some(tripped) => tripped.state,
            None if self.is_paused(now) => BreakerState::Paused,
            None => BreakerState::Closed,
        }
    }

    /// Whether this object may call: while tripped, only the one that has the probe.
    #[must_use]
    pub fn lets_through(&self, uid: &str, now: Duration) -> bool {
        let is_probe = |tripped: &Tripped| match &tripped.probe {
            Probe::Free => false,
            Probe::Offered(its, _) | Probe::Taken(its) => **its == *uid,
        };
        !self.login_required && !self.is_paused(now) && self.tripped.as_ref().is_none_or(is_probe)
    }

    /// Takes the probe if there is one; false if this object may not call.
    pub fn acquire(&mut self, uid: &Arc<str>, now: Duration) -> bool {
        let may = self.lets_through(uid, now);
        if let Some(tripped) = self.tripped.as_mut().filter(|_| may) {
            tripped.probe = Probe::Taken(uid.clone());
        }
        may
    }

    /// Returns an unused probe; true if this object had it.
    pub fn return_probe(&mut self, uid: &str) -> bool {
        let Some(tripped) = &mut self.tripped else { return false };
        let had = match &tripped.probe {
            Probe::Free => false,
            Probe::Offered(its, _) | Probe::Taken(its) => **its == *uid,
        };
        if had {
            tripped.probe = Probe::Free;
        }
        had
    }

    /// Puts an object on hold. The one with the oldest `last_call` gets the next probe.
    pub fn hold(&mut self, uid: Arc<str>, last_call: Timestamp, key: K) {
        self.on_hold.insert(uid, (last_call, key));
    }

    /// Removes a deleted object.
    pub fn remove(&mut self, uid: &str) {
        self.on_hold.remove(uid);
    }

    /// Allows no call until the token changes. The objects on hold are woken once, because they wait for a login now.
    pub fn login_required(&mut self) {
        self.untold |= !self.login_required;
        self.login_required = true;
    }

    /// Allows calls again after the token has changed.
    pub fn token_changed(&mut self) {
        self.login_required = false;
        self.tripped.take_if(|tripped| tripped.state == BreakerState::TokenRejected);
    }

    /// Returns the time until calls are allowed or the next probe; `None` while calls are allowed, or if only a login ends
    /// the wait.
    #[must_use]
    pub fn resumes_in(&self, now: Duration) -> Option<Duration> {
        if self.login_required {
            return None;
        }
        let tripped = self.tripped.as_ref().map(|tripped| tripped.next_probe);
        let paused = self.paused_until.filter(|until| *until > now);
        paused.max(tripped).map(|at| at.saturating_sub(now))
    }

    /// Restores the state at startup from the status of an open object of this server.
    pub fn restore<R>(&mut self, status: &Status<R>, now: Now) {
        let Some(operation) = status.operation.as_ref().filter(|_| status.outcome.is_none()) else { return };
        if operation.server.as_ref().is_some_and(|server| *server != self.server) {
            return;
        }
        if status.reason == Some(Reason::TokenRejected) && self.tripped.is_none() {
            let (state, probe, next_probe) = (BreakerState::TokenRejected, Probe::Free, now.monotonic);
            self.tripped = Some(Tripped { state, probes: 1, next_probe, probe });
        }
        let (Some(error), Some(start), Some(next)) =
            (&operation.last_error, &operation.wait_start_time, &operation.next_attempt_time)
        else {
            return;
        };
        let wait = Duration::try_from(next.0.duration_since(start.0)).unwrap_or_default();
        // A 503 paused all calls only if it named a time. A wait longer than any backoff shows that it did.
        let paused_all = error.code == Some(429) || (error.code == Some(503) && wait > self.retry.1);
        let left = Duration::try_from(next.0.duration_since(now.wall)).unwrap_or_default();
        // No operator sets a longer wait.
        let believable = wait <= LONGEST_PAUSE + ROUNDING;
        let is_newer = self.restored_from.is_none_or(|at| at < error.time.0);
        if paused_all && believable && !left.is_zero() && is_newer {
            self.restored_from = Some(error.time.0);
            self.paused_until = Some(now.monotonic + left.min(LONGEST_PAUSE));
        }
    }

    /// Notes the result of a call.
    pub fn report(&mut self, call: &CallResult<'_>, now: Now) {
        let down = call.failure.is_some_and(looks_down);
        let refused = call.failure.is_some_and(|failure| classify(failure, false) == Class::TokenRejected);
        if let Some(failure) = call.failure.filter(|failure| pauses_all(failure)) {
            self.pause(failure, now);
        } else {
            self.limits_in_a_row = 0;
        }
        if down {
            self.count_failure(call, now.monotonic);
        } else {
            self.failures = None;
        }
        if refused && !call.token_changed {
            self.trip(BreakerState::TokenRejected, now.monotonic);
        }
        if !down && !refused {
            self.tripped = None;
        }
        self.probed(call, now.monotonic);
    }

    fn pause(&mut self, failure: &Failure, now: Now) {
        self.limits_in_a_row = self.limits_in_a_row.saturating_add(1);
        let (min, max) = self.retry;
        let asked = failure.retry_at.map(|at| at.duration_since(now.wall));
        let wait = asked
            .and_then(|asked| Duration::try_from(asked).ok())
            .unwrap_or_else(|| backoff(self.limits_in_a_row, min, max, 1.0));
        self.paused_until = self.paused_until.max(Some(now.monotonic + wait.min(LONGEST_PAUSE)));
    }

    fn count_failure(&mut self, call: &CallResult<'_>, now: Duration) {
        let first = Failures { count: 0, connector: call.connector, on_several: false };
        let failures = self.failures.get_or_insert(first);
        failures.count = failures.count.saturating_add(1);
        failures.on_several |= failures.connector != call.connector;
        if failures.count >= FAILURE_THRESHOLD && (failures.on_several || call.open_connectors < 2) {
            self.trip(BreakerState::Down, now);
        }
    }

    /// Allows one call at a time. A rejected token replaces an outage, because its response shows that the API is up.
    fn trip(&mut self, state: BreakerState, now: Duration) {
        let kept = self.tripped.as_ref().map(|tripped| tripped.state);
        if kept == Some(state) || (state == BreakerState::Down && kept.is_some()) {
            return;
        }
        let (min, max) = self.retry;
        let next_probe = now + backoff(1, min, max, 1.0);
        self.tripped = Some(Tripped { state, probes: 1, next_probe, probe: Probe::Free });
    }

    /// Schedules the next probe after one whose result did not close the breaker.
    fn probed(&mut self, call: &CallResult<'_>, now: Duration) {
        let (min, max) = self.retry;
        let Some(tripped) = &mut self.tripped else { return };
        if matches!(&tripped.probe, Probe::Taken(its) if **its == *call.uid) {
            tripped.probe = Probe::Free;
            tripped.probes = tripped.probes.saturating_add(1);
            tripped.next_probe = now + backoff(tripped.probes, min, max, 0.5 + call.jitter / 2.0);
        }
    }

    fn wake_all(&mut self) -> Vec<K> {
        std::mem::take(&mut self.on_hold).into_values().map(|(_, key)| key).collect()
    }

    /// Returns the objects to wake now, and when to call this again.
    pub fn next_wakeup(&mut self, now: Duration) -> (Vec<K>, Option<Duration>) {
        if self.login_required && !std::mem::take(&mut self.untold) {
            return (Vec::new(), None);
        }
        if self.login_required {
            return (self.wake_all(), None);
        }
        if let Some(until) = self.paused_until {
            if until > now {
                return (Vec::new(), Some(until));
            }
            self.paused_until = None;
        }
        let Some(tripped) = &mut self.tripped else {
            return (self.wake_all(), None);
        };
        match tripped.probe {
            Probe::Taken(_) => return (Vec::new(), None),
            Probe::Offered(_, since) if now.saturating_sub(since) < OFFER_TIMEOUT => {
                return (Vec::new(), Some(since + OFFER_TIMEOUT));
            }
            Probe::Offered(..) | Probe::Free => tripped.probe = Probe::Free,
        }
        if tripped.next_probe > now {
            return (Vec::new(), Some(tripped.next_probe));
        }
        let oldest = self.on_hold.iter().min_by_key(|(uid, (last_call, _))| (*last_call, (*uid).clone()));
        let Some(uid) = oldest.map(|(uid, _)| uid.clone()) else { return (Vec::new(), None) };
        let Some((_, key)) = self.on_hold.remove(&uid) else { return (Vec::new(), None) };
        tripped.probe = Probe::Offered(uid, now);
        (vec![key], Some(now + OFFER_TIMEOUT))
    }
}
