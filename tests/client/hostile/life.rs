//! Checks of the rules over the life of an object, whatever it meets. No I/O and no proptest, so that a fuzzer can use
//! it too.

#![allow(unreachable_pub, reason = "the fuzzer's targets use it as well")]

use std::time::Duration;

use cde_operator::api::{ConnectorRestore, MigrationRollback, Outcome, Reason, Status};
use cde_operator::cde::model::{Connector, Data, Failure, FailureKind};
use cde_operator::operation::{
    Observed, Operation, Release, Response, Settings, Situation, Step, apply_response, confirm_by_read,
    decide, event_for, event_for_deleted, invalid_retry, next_call, pauses_all, rebase, release_claim,
    strip_result,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// No reconciliation takes more steps than this.
const STEPS: usize = 24;
/// `--timeout`.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An object whose status can be replaced, as the API server does.
pub trait Stored: Operation<Result: Serialize + DeserializeOwned> + DeserializeOwned {
    /// Stores a status.
    fn store(&mut self, status: Status<Self::Result>);
}

impl Stored for ConnectorRestore {
    fn store(&mut self, status: Status<Self::Result>) {
        self.status = Some(status);
    }
}

impl Stored for MigrationRollback {
    fn store(&mut self, status: Status<Self::Result>) {
        self.status = Some(status);
    }
}

/// What one reconciliation meets.
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// Seconds since the previous reconciliation.
    pub later: u32,
    /// How long the claim or the wait has been observed.
    pub seen_for: u32,
    /// No call may go out.
    pub calls_held: bool,
    /// Another request goes first.
    pub waits: bool,
    /// Earlier refusals confirm an undocumented one.
    pub refusal_confirmed: bool,
    /// A refused token has been replaced.
    pub token_changed: bool,
    /// The result of a read.
    pub reading: Result<Connector, Failure>,
    /// The result of the call; `None` where the claim is released.
    pub answer: Option<Result<Data, Failure>>,
}

/// Returns the settings of the operator in these checks.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        server: "https://cde.example".to_owned(),
        timeout: TIMEOUT,
        retry_min: Duration::from_secs(1),
        retry_max: Duration::from_mins(5),
        deadline: Some(Duration::from_hours(24)),
    }
}

/// Returns the time of the first reconciliation.
#[must_use]
pub fn start_time() -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap()
}

/// Runs the life of an object, one reconciliation after the other. Panics if a rule does not hold.
pub fn run<O: Stored>(object: O, reconciliations: &[Reconciliation]) {
    let mut teller = Runner { object, settings: settings(), now: start_time() };
    let _ = invalid_retry(&teller.object, teller.now);
    for reconciliation in reconciliations {
        teller.now =
            teller.now.saturating_add(SignedDuration::from_secs(reconciliation.later.into())).unwrap();
        teller.reconciliation(reconciliation);
    }
}

struct Runner<O: Stored> {
    object: O,
    settings: Settings,
    now: Timestamp,
}

impl<O: Stored> Runner<O> {
    /// Runs one reconciliation: it ends, and writes only what may be written.
    fn reconciliation(&mut self, reconciliation: &Reconciliation) {
        let mut seen = Observed {
            seen_for: Duration::from_secs(reconciliation.seen_for.into()),
            ahead: reconciliation.waits.then(|| "ConnectorRestore a/b".to_owned()),
            on_hold: reconciliation.calls_held,
            refusal_confirmed: reconciliation.refusal_confirmed,
            jitter: 0.5,
            ..Observed::default()
        };
        let (mut reads, mut calls) = (0, 0);
        let mut steps = Vec::new();
        for _ in 0..STEPS {
            let situation = Situation {
                object: &self.object,
                now: self.now,
                holder: "me",
                settings: &self.settings,
                observed: &seen,
            };
            let _ = next_call(&situation);
            match decide(&situation) {
                Step::Rest | Step::NotOurs { .. } | Step::Wait(_) | Step::Hold(_) => return,
                Step::Read => {
                    steps.push("read");
                    seen.token_changed = reconciliation.token_changed && reads == 0;
                    seen.reading = Some(reconciliation.reading.clone());
                    seen.on_hold |= opens_breaker(reconciliation.reading.as_ref().err(), seen.token_changed);
                    reads += 1;
                }
                Step::Write(status) => {
                    steps.push(status.reason.map_or("write", Reason::as_str));
                    let before = self.pause();
                    self.store(*status);
                    seen.reading = None;
                    if self.pause() != before {
                        seen.seen_for = Duration::ZERO;
                    }
                }
                Step::Claim(status) => {
                    steps.push("claim");
                    self.assert_claim(&status, &seen);
                    self.store(*status);
                    (seen.reading, seen.seen_for) = (None, Duration::ZERO);
                    let record = self.call(reconciliation, calls == 0);
                    self.store(record);
                    // This is why a claim is released.
                    seen.on_hold |= reconciliation.answer.is_none();
                    let failure = reconciliation.answer.as_ref().and_then(|answer| answer.as_ref().err());
                    seen.on_hold |= opens_breaker(failure, reconciliation.token_changed && calls == 0);
                    calls += 1;
                }
            }
        }
        panic!("it does not end: {steps:?}");
    }

    /// Identifies a claim or a wait. Its time runs while it stays the same.
    fn pause(&self) -> Option<(String, u32, u32, bool)> {
        let operation = self.object.status()?.operation.as_ref()?;
        let claimed = operation.in_flight.is_some();
        Some((operation.id.clone(), operation.attempts, operation.backoff_step, claimed))
    }

    /// Stores the status as the API server does, which rejects a change of a final outcome.
    fn store(&mut self, status: Status<O::Result>) {
        let before = self.object.status();
        if let Some(outcome) = before.and_then(|before| before.outcome).filter(|outcome| outcome.is_final()) {
            assert_eq!(status.outcome, Some(outcome), "a final outcome is taken back");
        }
        assert_presentable(before, &status);
        assert_eq!(status.reason.and_then(Reason::outcome), status.outcome, "{status:?}");
        if let Some(announcement) = event_for(before, &status, &[]) {
            let kept = texts(before).contains(&announcement.note);
            assert!(kept || is_harmless(&announcement.note, 1024), "{announcement:?}");
        }
        self.object.store(status);
    }

    fn call(&self, reconciliation: &Reconciliation, first: bool) -> Status<O::Result> {
        let Some(answer) = &reconciliation.answer else {
            let why = if first { Release::TooLate } else { Release::Stopping };
            return release_claim(&self.object, why, self.now, &self.settings, 0.5);
        };
        let token_changed = reconciliation.token_changed && first;
        let response = Response {
            object: &self.object,
            result: answer.as_ref(),
            refusal_confirmed: reconciliation.refusal_confirmed,
            token_changed,
            claim_left: TIMEOUT,
            now: self.now,
            settings: &self.settings,
            jitter: 0.5,
        };
        let status = apply_response(&response);
        let claimed = self.object.status().expect("a claim is stored");
        let unknown = |status: &Status<O::Result>| {
            status.operation.as_ref().map_or(0, |operation| operation.unknown_attempts)
        };
        match answer {
            Ok(_) => assert_eq!(status.outcome, Some(Outcome::Succeeded), "a success is a success"),
            Err(failure) => {
                assert!(
                    !matches!(status.outcome, Some(Outcome::Succeeded | Outcome::Skipped)),
                    "a failure is none: {failure:?}"
                );
                let expected = unknown(claimed).saturating_add(u32::from(may_have_acted(failure.kind)));
                assert_eq!(unknown(&status), expected, "{failure:?}");
                assert!(status.outcome.is_none() || !may_have_acted(failure.kind), "{failure:?}");
                assert_waits(&status, failure);
            }
        }
        let other = rebase(&status, Some(claimed));
        assert_eq!(strip_result(&other).outcome, status.outcome);
        assert_presentable(Some(claimed), &status);
        let last_event = event_for_deleted(Some(claimed), &status, &[]);
        assert!(last_event.is_none_or(|it| is_harmless(&it.note, 1024)), "{status:?}");
        let refused = status.outcome.is_none()
            && status.operation.as_ref().is_some_and(|operation| operation.refusal().is_some());
        if !refused {
            return status;
        }
        let confirmed =
            confirm_by_read(&response, &status, &reconciliation.reading, reconciliation.refusal_confirmed);
        confirmed.unwrap_or(status)
    }

    fn assert_claim(&self, status: &Status<O::Result>, seen: &Observed) {
        let (object, before) = (&self.object, self.object.status());
        let claim = status.operation.as_ref().expect("a claim is in an operation");
        let in_flight = claim.in_flight.as_ref().expect("a claim is in flight");
        assert!(!before.is_some_and(|before| before.outcome.is_some_and(Outcome::is_final)), "it is over");
        assert!(!object.request_spec().suspend && object.metadata().deletion_timestamp.is_none());
        assert!(object.request_spec().not_after.is_none_or(|limit| limit > self.now), "it is too late");
        assert!(!seen.on_hold && seen.ahead.is_none(), "another request goes first");
        assert!(!O::READS_FIRST || seen.reading.is_some(), "nothing was read");
        assert_eq!((in_flight.holder.as_str(), in_flight.attempt), ("me", claim.attempts));
        assert_eq!(claim.server.as_deref(), Some("https://cde.example"));
        let was = before.and_then(|before| before.operation.as_ref()).filter(|was| was.id == claim.id);
        assert_eq!(claim.attempts, was.map_or(0, |was| was.attempts).saturating_add(1));
        let open = was.is_some_and(|was| was.unknown_attempts > 0 || was.in_flight.is_some());
        assert!(!open || seen.reading.is_some(), "an unknown effect is verified first");
    }
}

/// Returns whether no call goes out for a while after this failure.
fn opens_breaker(failure: Option<&Failure>, token_changed: bool) -> bool {
    failure.is_some_and(|failure| pauses_all(failure) || (failure.code() == Some(401) && !token_changed))
}

/// Returns whether a call may have had its effect after this failure, from the documented table.
fn may_have_acted(kind: FailureKind) -> bool {
    match kind {
        FailureKind::NotSent => false,
        FailureKind::NoAnswer | FailureKind::Unreadable { .. } => true,
        FailureKind::Status { code, .. } => !(400..=499).contains(&code) || matches!(code, 408 | 409),
    }
}

/// Checks that a wait that a server asks for is kept, and that no header causes a wait of a day.
fn assert_waits<R>(status: &Status<R>, failure: &Failure) {
    let next = status.operation.as_ref().and_then(|operation| operation.next_attempt_time.as_ref());
    if let (Some(asked), Some(next)) = (failure.retry_at, next) {
        assert!(next.0 >= asked, "{failure:?} is called again at {next:?}");
    }
}

/// Checks that texts for people and terminals are short and harmless, unless they were stored before.
fn assert_presentable<R>(before: Option<&Status<R>>, status: &Status<R>) {
    let before = texts(before);
    for (text, most) in texts(Some(status)).into_iter().zip([512].into_iter().chain(std::iter::repeat(1024)))
    {
        assert!(before.contains(&text) || is_harmless(&text, most), "{text:?}");
    }
}

/// Returns the last error's message, and those of the conditions.
fn texts<R>(status: Option<&Status<R>>) -> Vec<String> {
    let operation = status.and_then(|status| status.operation.as_ref());
    let error = operation.and_then(|operation| operation.last_error.as_ref());
    let conditions = status.into_iter().flat_map(|status| &status.conditions);
    let error = error.map(|error| error.message.clone()).unwrap_or_default();
    std::iter::once(error).chain(conditions.map(|condition| condition.message.clone())).collect()
}

fn is_harmless(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}
