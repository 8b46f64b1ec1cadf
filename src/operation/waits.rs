//! The limits and waits of a request.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Reason;

use super::backoff::backoff;
use super::classify::is_unanswered;
use super::retry::request_id;
use super::status_builder::StatusBuilder;
use super::{Operation, whole_seconds};

impl<O: Operation> StatusBuilder<'_, O> {
    /// When the object was created, or when a retry reopened the request.
    fn start_time(&self) -> Timestamp {
        let operation = self.status.operation.as_ref();
        let started = operation.and_then(|operation| operation.start_time.as_ref()).map(|time| time.0);
        let created = self.object.metadata().creation_timestamp.as_ref().map(|time| time.0);
        let reopened = operation.is_some_and(|operation| operation.id != request_id(self.object, None));
        if reopened { started } else { created.or(started) }.unwrap_or(self.now)
    }

    /// `notAfter` and the deadline, in this order, each with the reason that the request ends with.
    fn limits(&self) -> impl Iterator<Item = (Timestamp, Reason)> {
        let spec = self.object.request_spec();
        let configured = self.settings.deadline.map(signed);
        let deadline =
            spec.active_deadline.or(configured).and_then(|length| self.start_time().checked_add(length).ok());
        spec.not_after
            .map(|at| (at, Reason::Expired))
            .into_iter()
            .chain(deadline.map(|at| (at, Reason::DeadlineExceeded)))
    }

    pub(super) fn past_limit(&self) -> Option<(Timestamp, Reason)> {
        self.limits().find(|(at, _)| *at <= self.now)
    }

    /// `status.deadlineTime`: the earlier limit; `None` once the request is finished.
    pub(super) fn deadline_time(&self) -> Option<Time> {
        let limit = self.limits().map(|(at, _)| Time(whole_seconds(at))).min();
        limit.filter(|_| self.status.outcome.is_none())
    }

    /// When to repeat a read that is not part of an attempt.
    pub(super) fn look_again(&self) -> Timestamp {
        let wait = signed(self.settings.retry_max.mul_f64(f64::midpoint(1.0, self.jitter)));
        self.now.saturating_add(wait).unwrap_or(self.now)
    }

    /// How long until `at` or the next limit, whichever is earlier.
    pub(super) fn next_look(&self, at: Option<Timestamp>) -> Option<Duration> {
        self.limits()
            .map(|(limit, _)| limit)
            .filter(|limit| *limit > self.now)
            .chain(at)
            .min()
            .map(|at| Duration::try_from(at.duration_since(self.now)).unwrap_or(Duration::ZERO))
    }

    /// Starts a wait and returns its end: the backoff, but never earlier than `asked`.
    pub(super) fn postpone(&mut self, asked: Option<Timestamp>) -> Timestamp {
        let (now, jitter, start) = (self.now, self.jitter, self.stamp());
        let (min, max) = (self.settings.retry_min, self.settings.retry_max);
        let operation = self.operation();
        operation.backoff_step = operation.backoff_step.saturating_add(1);
        let wait = signed(backoff(operation.backoff_step, min, max, jitter));
        let at = ceil(now.saturating_add(wait).unwrap_or(now).max(asked.unwrap_or(now)));
        operation.wait_start_time = Some(start);
        operation.next_attempt_time = Some(Time(at));
        at
    }

    pub(super) fn postpone_for_at_least(&mut self, length: Duration) {
        let over = ceil(self.now.saturating_add(signed(length)).unwrap_or(self.now));
        let next = &mut self.operation().next_attempt_time;
        *next = next.take().max(Some(Time(over)));
    }

    /// Returns the end of the present wait, until it has come.
    ///
    /// It comes by the wall clock, corrected by the changes that were made to that clock since this process first saw the
    /// wait; or when the wait's length has passed by the monotonic clock, because the wall clock may be behind. While the
    /// server may still run the last attempt, only the monotonic clock counts: the clock of the machine that set the wait
    /// may have been behind this one.
    pub(super) fn not_due(&self) -> Option<Timestamp> {
        let next = self.status.operation.as_ref()?.next_attempt_time.as_ref()?.0;
        let next = next.saturating_add(self.clock_set).unwrap_or(next);
        let by_length = self.wait_length().map_or(next, |length| next.min(self.once_seen_for(length)));
        let at =
            self.server_may_still_run().map_or(by_length, |length| by_length.max(self.once_seen_for(length)));
        Some(at).filter(|at| *at > self.now)
    }

    /// Ends a wait early for a retry annotation, but not the wait for a claim.
    pub(super) fn cut_wait_short(&mut self) {
        let asked_for = self.last_error().is_some_and(|error| matches!(error.code, Some(429 | 503)));
        let race = self
            .server_may_still_run()
            .map(|length| ceil(self.once_seen_for(length)))
            .filter(|over| *over > self.now);
        let Some(operation) = self.status.operation.as_mut().filter(|_| !asked_for) else { return };
        match (race, &mut operation.next_attempt_time) {
            (Some(over), Some(next)) => next.0 = over.min(next.0),
            _ => operation.end_wait(),
        }
    }

    /// When this process will have seen the present wait for `length`, by its monotonic clock.
    fn once_seen_for(&self, length: SignedDuration) -> Timestamp {
        let left = length.saturating_sub(signed(self.seen_for));
        self.now.saturating_add(left).unwrap_or(self.now)
    }

    /// The length of the present wait, by the clock of the process that set it.
    fn wait_length(&self) -> Option<SignedDuration> {
        let operation = self.status.operation.as_ref()?;
        let (start, next) = (operation.wait_start_time.as_ref()?, operation.next_attempt_time.as_ref()?);
        Some(next.0.duration_since(start.0)).filter(SignedDuration::is_positive)
    }

    /// How long the present wait must be seen at least, because the server may still run an unanswered attempt.
    fn server_may_still_run(&self) -> Option<SignedDuration> {
        let unanswered =
            self.unknown_attempts() > 0 && is_unanswered(self.last_error().and_then(|error| error.code));
        self.wait_length().filter(|_| unanswered).map(|length| length.min(self.settings.claim_length()))
    }
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Rounds up to a whole second, as Kubernetes stores times.
fn ceil(time: Timestamp) -> Timestamp {
    let whole = whole_seconds(time);
    if whole < time { whole.saturating_add(SignedDuration::from_secs(1)).unwrap_or(whole) } else { whole }
}
