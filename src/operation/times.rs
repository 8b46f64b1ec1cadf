//! When: the limits of a request, the waits that it is in, and the next time to look at it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Reason;

use super::backoff::backoff;
use super::case::Case;
use super::classify::gave_up;
use super::retry::request_id;
use super::{Operation, whole_seconds};

impl<O: Operation> Case<'_, O> {
    /// When the request began: with the object, or with the retry that opened it again.
    fn begun_at(&self) -> Timestamp {
        let operation = self.status.operation.as_ref();
        let started = operation.and_then(|operation| operation.started_at.as_ref()).map(|time| time.0);
        let created = self.object.metadata().creation_timestamp.as_ref().map(|time| time.0);
        let reopened = operation.is_some_and(|operation| operation.id != request_id(self.object, None));
        if reopened { started } else { created.or(started) }.unwrap_or(self.now)
    }

    /// From when on no attempt begins, and what it then comes to: `notAfter`, then the deadline.
    fn limits(&self) -> impl Iterator<Item = (Timestamp, Reason)> {
        let wish = self.object.wish();
        let configured = self.settings.deadline.map(signed);
        let deadline =
            wish.active_deadline.or(configured).and_then(|length| self.begun_at().checked_add(length).ok());
        wish.not_after
            .map(|at| (at, Reason::Expired))
            .into_iter()
            .chain(deadline.map(|at| (at, Reason::DeadlineExceeded)))
    }

    /// The limit that has passed.
    pub(super) fn past_limit(&self) -> Option<Reason> {
        self.limits().find(|(at, _)| *at <= self.now).map(|(_, reason)| reason)
    }

    /// How long until `at`, or the next limit, if that comes earlier.
    pub(super) fn next_look(&self, at: Option<Timestamp>) -> Option<Duration> {
        self.limits()
            .map(|(limit, _)| limit)
            .filter(|limit| *limit > self.now)
            .chain(at)
            .min()
            .map(|at| Duration::try_from(at.duration_since(self.now)).unwrap_or(Duration::ZERO))
    }

    /// Counts a wait, and says until when: the backoff, and never earlier than `asked`.
    ///
    /// The last error is what is waited for, so its time is the wait's begin: their difference is its length.
    pub(super) fn postpone(&mut self, asked: Option<Timestamp>) -> Timestamp {
        let (now, jitter, begin) = (self.now, self.jitter, self.stamp());
        let (min, max) = (self.settings.retry_min, self.settings.retry_max);
        let operation = self.operation();
        operation.retries = operation.retries.saturating_add(1);
        let wait = signed(backoff(operation.retries, min, max, jitter));
        let at = ceil(now.saturating_add(wait).unwrap_or(now).max(asked.unwrap_or(now)));
        operation.next_attempt_at = Some(Time(at));
        if let Some(error) = &mut operation.last_error {
            error.at = begin;
        }
        at
    }

    /// Lets the present wait last for `length` at least.
    pub(super) fn postpone_for_at_least(&mut self, length: Duration) {
        let over = ceil(self.now.saturating_add(signed(length)).unwrap_or(self.now));
        let next = &mut self.operation().next_attempt_at;
        *next = next.take().max(Some(Time(over)));
    }

    /// The time that is still waited for.
    ///
    /// It has come by the wall clock as it went on since this process first saw the wait, for setting that clock
    /// neither hurries nor delays anything; or when its length has passed by our own monotonic one (a clock that
    /// is behind would make it wait for ever). While the server may still be at work on the last attempt the wall
    /// clock is not enough: another machine's, which is ahead, would race it.
    pub(super) fn not_due(&self) -> Option<Timestamp> {
        let next = self.status.operation.as_ref()?.next_attempt_at.as_ref()?.0;
        let next = next.saturating_add(self.clock_set).unwrap_or(next);
        let by_length = self.wait_length().map_or(next, |length| next.min(self.once_seen_for(length)));
        let at = self.race().map_or(by_length, |length| by_length.max(self.once_seen_for(length)));
        Some(at).filter(|at| *at > self.now)
    }

    /// Ends a wait because a person asks for it, except what is left of the one for a claim.
    pub(super) fn cut_wait_short(&mut self) {
        let asked_for = self.last_error().is_some_and(|error| matches!(error.code, Some(429 | 503)));
        let race = self.race().map(|length| ceil(self.once_seen_for(length))).filter(|over| *over > self.now);
        let Some(operation) = self.status.operation.as_mut().filter(|_| !asked_for) else { return };
        operation.next_attempt_at =
            operation.next_attempt_at.take().and_then(|next| race.map(|over| Time(over.min(next.0))));
    }

    /// When this process, by its monotonic clock, will have seen the present wait for `length`.
    fn once_seen_for(&self, length: SignedDuration) -> Timestamp {
        let left = length.saturating_sub(signed(self.seen_for));
        self.now.saturating_add(left).unwrap_or(self.now)
    }

    /// The length of the present wait, by the clock of whoever set it.
    fn wait_length(&self) -> Option<SignedDuration> {
        let next = self.status.operation.as_ref()?.next_attempt_at.as_ref()?.0;
        Some(next.duration_since(self.last_error()?.at.0)).filter(SignedDuration::is_positive)
    }

    /// How long at least the present wait must be seen, because the server may still be at work on an attempt
    /// that it did not answer.
    fn race(&self) -> Option<SignedDuration> {
        let raced = self.unknown_attempts() > 0 && gave_up(self.last_error().and_then(|error| error.code));
        self.wait_length().filter(|_| raced).map(|length| length.min(self.settings.claim_length()))
    }
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// The next whole second, as Kubernetes stores times; never earlier than `time`.
fn ceil(time: Timestamp) -> Timestamp {
    let whole = whole_seconds(time);
    if whole < time { whole.saturating_add(SignedDuration::from_secs(1)).unwrap_or(whole) } else { whole }
}
