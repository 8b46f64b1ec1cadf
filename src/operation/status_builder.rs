//! Builds the next status of one object. Every status is built here, so generation, conditions, reason and outcome always
//! agree.

use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Evidence, InFlight, LastError, OperationRecord, Outcome, Reason, Status};
use crate::cde::model::Failure;
use crate::text::clean;

use super::condition::conditions;
use super::messages::{answer_text, wait_message};
use super::phase::Phase;
use super::{Operation, Settings, Situation, Step, whole_seconds};

/// Maximum number of characters of `lastError.message`.
pub(super) const ERROR_MESSAGE: usize = 512;

pub(super) struct StatusBuilder<'a, O: Operation> {
    pub(super) object: &'a O,
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
    pub(super) jitter: f64,
    pub(super) seen_for: Duration,
    pub(super) clock_set: SignedDuration,
    stored: Cow<'a, Status<O::Result>>,
    /// The status to store.
    pub(super) status: Status<O::Result>,
}

impl<'a, O: Operation> StatusBuilder<'a, O> {
    /// Starts from the stored status, and opens or reopens the request.
    pub(super) fn open(situation: &Situation<'a, O>) -> Self {
        let Situation { object, now, settings, observed, .. } = *situation;
        let mut request = Self::of(object, now, settings, observed.jitter);
        request.seen_for = observed.seen_for;
        request.clock_set = observed.clock_set;
        request.open_request();
        request
    }

    /// Starts from the stored status only: a record must not handle a retry annotation that is newer than its claim.
    pub(super) fn of(object: &'a O, now: Timestamp, settings: &'a Settings, jitter: f64) -> Self {
        let stored: Cow<'a, Status<O::Result>> = object.status().map(Cow::Borrowed).unwrap_or_default();
        Self {
            object,
            now,
            settings,
            jitter,
            seen_for: Duration::ZERO,
            clock_set: SignedDuration::ZERO,
            status: stored.clone().into_owned(),
            stored,
        }
    }

    // Queries of the rules.

    pub(super) fn phase(&self) -> Phase {
        Phase::of(&self.status, &self.settings.server)
    }

    pub(super) fn operation(&mut self) -> &mut OperationRecord {
        self.status.operation.get_or_insert_default()
    }

    pub(super) fn last_error(&self) -> Option<&LastError> {
        self.status.operation.as_ref().and_then(|operation| operation.last_error.as_ref())
    }

    pub(super) fn last_error_text(&self) -> String {
        self.last_error()
            .map_or_else(|| "a call failed".to_owned(), |error| answer_text(error.code, &error.message))
    }

    pub(super) fn unknown_attempts(&self) -> u32 {
        self.status.operation.as_ref().map_or(0, |operation| operation.unknown_attempts)
    }

    pub(super) fn attempts(&self) -> u32 {
        self.status.operation.as_ref().map_or(0, |operation| operation.attempts)
    }

    /// The refusal that a read must still confirm.
    pub(super) fn refusal(&self) -> Option<Reason> {
        self.status.operation.as_ref().and_then(OperationRecord::refusal)
    }

    /// Whether a read must verify an earlier attempt.
    pub(super) fn is_unverified(&self) -> bool {
        self.status.operation.as_ref().is_some_and(OperationRecord::is_unverified)
    }

    pub(super) fn stored_retry(&self) -> Option<Time> {
        self.stored.last_handled_retry.clone()
    }

    /// Whether the condition Ready already has this reason and a message that starts with `start`.
    pub(super) fn says(&self, reason: Reason, start: &str) -> bool {
        let ready = self.status.conditions.iter().find(|condition| condition.type_ == "Ready");
        self.status.reason == Some(reason) && ready.is_some_and(|ready| ready.message.starts_with(start))
    }

    /// `now` as Kubernetes stores it.
    pub(super) fn stamp(&self) -> Time {
        Time(whole_seconds(self.now))
    }

    // Steps that end the decision.

    pub(super) fn write(self) -> Step<O::Result> {
        Step::Write(Box::new(self.status))
    }

    /// Stores the status if it changed. Otherwise waits until `at`, a limit, or a change of the object.
    pub(super) fn stay(mut self, at: Option<Timestamp>) -> Step<O::Result> {
        self.observe();
        if self.status == *self.stored { Step::Wait(self.next_look(at)) } else { self.write() }
    }

    /// Stores the status if it changed. Otherwise waits for the circuit breaker.
    pub(super) fn hold(self) -> Step<O::Result> {
        match self.stay(None) {
            Step::Wait(limit) => Step::Hold(limit),
            step => step,
        }
    }

    pub(super) fn hold_with(mut self, reason: Reason, message: &str) -> Step<O::Result> {
        self.say(reason, message);
        self.hold()
    }

    pub(super) fn wait(mut self, reason: Reason, message: &str, at: Option<Timestamp>) -> Step<O::Result> {
        self.say(reason, message);
        self.stay(at)
    }

    /// Waits before another try because of `failure`. The error of an unverified attempt stays, because verification
    /// depends on it.
    pub(super) fn wait_out(mut self, failure: &Failure, reason: Reason) -> Step<O::Result> {
        if !self.is_unverified() {
            self.note(failure, None);
        }
        let at = self.postpone_for(failure, reason);
        self.stay(at)
    }

    pub(super) fn finish(mut self, reason: Reason, message: &str) -> Step<O::Result> {
        self.end(reason, message);
        self.write()
    }

    pub(super) fn succeed(mut self, reason: Reason, evidence: Evidence) -> Step<O::Result> {
        self.end_well(reason, evidence);
        self.write()
    }

    pub(super) fn claim(mut self, holder: &str) -> Step<O::Result> {
        let (now, server) = (self.stamp(), self.settings.server.clone());
        let until = now.0.saturating_add(self.settings.claim_length()).unwrap_or(now.0);
        let operation = self.operation();
        operation.end_wait();
        operation.attempts = operation.attempts.saturating_add(1);
        operation.server = Some(server);
        operation.last_attempt_time = Some(now);
        operation.in_flight =
            Some(InFlight { holder: holder.to_owned(), attempt: operation.attempts, until: Time(until) });
        self.say(Reason::InProgress, "The call to the CDE API is in progress.");
        Step::Claim(Box::new(self.status))
    }

    // Changes of the status.

    /// Sets reason, outcome and conditions.
    pub(super) fn say(&mut self, reason: Reason, message: &str) {
        let generation = self.object.metadata().generation;
        let outcome = reason.outcome();
        self.status.observed_generation = generation.filter(|_| !outcome.is_some_and(Outcome::is_final));
        self.status.conditions =
            conditions(&self.status.conditions, reason, message, self.status.observed_generation, self.now);
        self.status.reason = Some(reason);
        self.status.outcome = outcome;
        self.status.deadline_time = self.deadline_time();
    }

    /// Notes that the newest spec was seen. A final record is valid for every generation and names none.
    pub(super) fn observe(&mut self) {
        if self.status.outcome.is_some_and(Outcome::is_final) {
            return;
        }
        let generation = self.object.metadata().generation;
        self.status.observed_generation = generation;
        self.status.deadline_time = self.deadline_time();
        for condition in &mut self.status.conditions {
            condition.observed_generation = generation;
        }
    }

    pub(super) fn end(&mut self, reason: Reason, message: &str) {
        let now = self.stamp();
        let operation = self.operation();
        operation.in_flight = None;
        operation.end_wait();
        operation.completion_time = Some(now);
        self.say(reason, message);
    }

    pub(super) fn end_well(&mut self, reason: Reason, evidence: Evidence) {
        self.operation().evidence = Some(evidence);
        let message = self.object.success_message(reason, &self.status);
        self.end(reason, &message);
    }

    /// Notes `failure` as the last error, with its `reason` if it is terminal.
    pub(super) fn note(&mut self, failure: &Failure, reason: Option<Reason>) {
        let (time, message) = (self.stamp(), clean(&failure.message, ERROR_MESSAGE));
        self.operation().last_error = Some(LastError { time, code: failure.code(), reason, message });
    }

    /// Starts a wait because of `failure` and returns its end. A wait for another token has no end time.
    pub(super) fn postpone_for(&mut self, failure: &Failure, reason: Reason) -> Option<Timestamp> {
        let mut at = Some(self.postpone(failure.retry_at));
        if reason == Reason::TokenRejected {
            self.operation().end_wait();
            at = None;
        }
        let why = answer_text(failure.code(), &clean(&failure.message, ERROR_MESSAGE));
        self.say(reason, &wait_message(reason, &why));
        at
    }
}
