//! The case that is decided: the object, what was seen, and the status that is being written.
//!
//! Every status that the operator writes is made by one of the verbs here, so generation, conditions, reason
//! and outcome always say the same.

use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Evidence, InFlight, LastError, OperationRecord, Outcome, Reason, Status};
use crate::cde::model::Failure;
use crate::text::clean;

use super::condition::conditions;
use super::words::{answer_text, wait_message};
use super::{Observed, Operation, Settings, Situation, Step, whole_seconds};

/// Most characters of `lastError.message`.
pub(super) const ERROR_MESSAGE: usize = 512;

/// One object, and the status that it is about to get.
pub(super) struct Case<'a, O: Operation> {
    pub(super) object: &'a O,
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
    pub(super) jitter: f64,
    /// For how long the present claim or wait has been seen.
    pub(super) seen_for: Duration,
    /// How far the wall clock was set meanwhile.
    pub(super) clock_set: SignedDuration,
    /// What is stored.
    stored: Cow<'a, Status<O::Result>>,
    /// What is to be stored.
    pub(super) status: Status<O::Result>,
    /// There is an outcome that must be stored, whatever comes next.
    pub(super) unrecorded: bool,
}

impl<'a, O: Operation> Case<'a, O> {
    /// What is to be decided.
    pub(super) fn new(situation: &Situation<'a, O>) -> Self {
        let stored = situation.object.status().map(Cow::Borrowed).unwrap_or_default();
        // A wait that is not stored yet has just begun.
        let begun = Observed::default();
        let observed = situation.unrecorded.map_or(situation.observed, |_| &begun);
        let mut case = Self {
            object: situation.object,
            now: situation.now,
            settings: situation.settings,
            jitter: situation.observed.jitter,
            seen_for: observed.seen_for,
            clock_set: observed.clock_set,
            status: situation.unrecorded.unwrap_or(&stored).clone(),
            stored,
            unrecorded: situation.unrecorded.is_some(),
        };
        if case.unrecorded {
            case.keep_attempts();
        } else {
            // A record consumes no wish that came after its claim.
            case.open();
        }
        case
    }

    /// The status of a claim, which is about to get its outcome.
    pub(super) fn claimed(object: &'a O, now: Timestamp, settings: &'a Settings, jitter: f64) -> Self {
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
            unrecorded: true,
        }
    }

    /// Another operator may have claimed since: within one request the number of attempts never goes down.
    fn keep_attempts(&mut self) {
        let Some(stored) = &self.stored.operation else { return };
        if let Some(operation) = self.status.operation.as_mut().filter(|own| own.id == stored.id) {
            operation.attempts = operation.attempts.max(stored.attempts);
        }
    }

    // What the rules ask.

    pub(super) fn operation(&mut self) -> &mut OperationRecord {
        self.status.operation.get_or_insert_default()
    }

    pub(super) fn last_error(&self) -> Option<&LastError> {
        self.status.operation.as_ref().and_then(|operation| operation.last_error.as_ref())
    }

    /// The last error in words.
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

    /// The terminal answer that a read must still confirm.
    pub(super) fn refusal(&self) -> Option<Reason> {
        self.status.operation.as_ref().and_then(OperationRecord::refusal)
    }

    pub(super) fn being_deleted(&self) -> bool {
        self.object.metadata().deletion_timestamp.is_some()
    }

    /// `now` as Kubernetes stores it.
    pub(super) fn stamp(&self) -> Time {
        Time(whole_seconds(self.now))
    }

    // The verbs: each ends the decision.

    /// Stores what is new; else waits for `at`, a limit, or a change.
    pub(super) fn stay(mut self, at: Option<Timestamp>) -> Step<O::Result> {
        self.observe();
        if self.status == *self.stored {
            Step::Wait(self.next_look(at))
        } else {
            Step::Write(Box::new(self.status))
        }
    }

    /// Waits for `reason`, of which `message` tells.
    pub(super) fn wait(mut self, reason: Reason, message: &str, at: Option<Timestamp>) -> Step<O::Result> {
        self.say(reason, message);
        self.stay(at)
    }

    /// Waits before another try, because of `failure`.
    ///
    /// While the effect of an attempt is open, the error of that attempt stays: it says what to make of a read.
    pub(super) fn wait_out(mut self, failure: &Failure, reason: Reason) -> Step<O::Result> {
        if self.unknown_attempts() == 0 && self.refusal().is_none() {
            self.note(failure, None);
        }
        let at = self.postpone_for(failure, reason);
        self.stay(at)
    }

    /// Ends the request.
    pub(super) fn finish(mut self, reason: Reason, message: &str) -> Step<O::Result> {
        self.end(reason, message);
        Step::Write(Box::new(self.status))
    }

    /// Ends the request with success.
    pub(super) fn succeed(mut self, reason: Reason, evidence: Evidence) -> Step<O::Result> {
        self.end_well(reason, evidence);
        Step::Write(Box::new(self.status))
    }

    /// Takes the right to make the next call.
    pub(super) fn claim(mut self, me: &str) -> Step<O::Result> {
        let (now, server) = (self.stamp(), self.settings.server.clone());
        let until = now.0.saturating_add(self.settings.claim_length()).unwrap_or(now.0);
        let operation = self.operation();
        operation.attempts = operation.attempts.saturating_add(1);
        operation.server = Some(server);
        operation.last_attempt_at = Some(now);
        operation.next_attempt_at = None;
        operation.in_flight =
            Some(InFlight { holder: me.to_owned(), attempt: operation.attempts, until: Time(until) });
        self.say(Reason::InProgress, "The call to the CDE API is under way.");
        Step::Claim(Box::new(self.status))
    }

    // What the verbs write.

    /// Reason and conditions, for the generation at hand.
    pub(super) fn say(&mut self, reason: Reason, message: &str) {
        let generation = self.object.metadata().generation;
        let outcome = reason.outcome();
        self.status.observed_generation = generation.filter(|_| !outcome.is_some_and(Outcome::is_final));
        self.status.conditions =
            conditions(&self.status.conditions, reason, message, self.status.observed_generation, self.now);
        self.status.reason = Some(reason);
        self.status.outcome = outcome;
    }

    /// The newest spec has been seen. A record answers for every generation, and so names none.
    pub(super) fn observe(&mut self) {
        if self.status.outcome.is_some_and(Outcome::is_final) {
            return;
        }
        let generation = self.object.metadata().generation;
        self.status.observed_generation = generation;
        for condition in &mut self.status.conditions {
            condition.observed_generation = generation;
        }
    }

    pub(super) fn end(&mut self, reason: Reason, message: &str) {
        let now = self.stamp();
        let operation = self.operation();
        operation.in_flight = None;
        operation.next_attempt_at = None;
        operation.completed_at = Some(now);
        self.say(reason, message);
    }

    pub(super) fn end_well(&mut self, reason: Reason, evidence: Evidence) {
        self.operation().evidence = Some(evidence);
        let message = self.object.success_message(reason, &self.status);
        self.end(reason, &message);
    }

    /// Notes `failure` as the last error, and what it means (`reason`) where it does not pass.
    pub(super) fn note(&mut self, failure: &Failure, reason: Option<Reason>) {
        let (at, message) = (self.stamp(), clean(&failure.message, ERROR_MESSAGE));
        self.operation().last_error = Some(LastError { at, code: failure.code(), reason, message });
    }

    /// Counts a wait because of `failure`, and says so. There is no time to a wait for another token: it ends
    /// when the token changes.
    pub(super) fn postpone_for(&mut self, failure: &Failure, reason: Reason) -> Option<Timestamp> {
        let at = Some(self.postpone(failure.retry_at)).filter(|_| reason != Reason::Unauthorized);
        self.operation().next_attempt_at = at.map(Time);
        let why = answer_text(failure.code(), &clean(&failure.message, ERROR_MESSAGE));
        self.say(reason, &wait_message(reason, &why));
        at
    }
}
