//! Objects, answers and connectors that read aloud, and a story: one object, driven as the shell does it, with
//! values in the place of the API server and of the CDE.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    ConnectorRestore, ConnectorRestoreSpec, MigrationRollback, MigrationRollbackSpec, OperationRecord, Outcome,
    RETRY_ANNOTATION, Reason, RestoreResult, RollbackResult, Status,
};
use crate::cde::model::{Call, Connector, Data, Failure, FailureKind, Field, Version};
use crate::operation::{
    Announcement, Conclusion, Observed, Operation, Settings, Situation, Step, announce, conclude, decide,
};

pub(super) const CONNECTOR: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
pub(super) const SERVER: &str = "https://cde.example";
pub(super) const ME: &str = "pod-a/1";
pub(super) const DAY: i64 = 86_400;
/// `--timeout` and five seconds.
pub(super) const CLAIM: i64 = 35;

/// So many seconds after the objects were created.
pub(super) fn at(second: i64) -> Timestamp {
    "2026-11-20T08:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

// Answers.

pub(super) type Reading = Result<Connector, Failure>;
pub(super) type Answer = Result<Data, Failure>;

pub(super) fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned(), retry_at: None }
}

/// The CDE API itself answers with this code.
pub(super) fn status(code: u16) -> Failure {
    failure(FailureKind::Status { code, spoken: true }, "the API's message")
}

pub(super) fn no_answer() -> Failure {
    failure(FailureKind::NoAnswer, "no answer within 30 s")
}

pub(super) fn not_sent() -> Failure {
    failure(FailureKind::NotSent, "cannot connect")
}

pub(super) fn unreadable() -> Failure {
    failure(FailureKind::Unreadable { code: 200 }, "the answer is not JSON")
}

/// `failure` that asks to come back at this second.
pub(super) fn asking(second: i64, failure: Failure) -> Failure {
    Failure { retry_at: Some(at(second)), ..failure }
}

/// The answer to a rollback: what the version is now.
pub(super) fn rolled_back() -> Answer {
    Ok(Data::Version(Box::new(version("1.0.0").production(Field::Value(24)))))
}

/// The answer to a restore.
pub(super) fn restored() -> Answer {
    Ok(Data::Connector(Box::new(connector())))
}

// Connectors.

/// A live connector whose only version, 1.0.0, is in production as 25, and was 24.
pub(super) fn connector() -> Connector {
    Connector {
        id: Field::Value(CONNECTOR.to_owned()),
        name: Field::Value("OMDb".to_owned()),
        main_version_number: Field::Value(1),
        versions: Field::Value(vec![version("1.0.0")]),
        ..Connector::default()
    }
}

pub(super) fn version(number: &str) -> Version {
    Version {
        version: Field::Value(number.to_owned()),
        state: Field::Value("synchronized-to-prod".to_owned()),
        deleted_at: Field::Null,
        legacy_executable: Field::Value(24),
        production_executable: Field::Value(25),
        production_platform_connector: Field::Value(5),
        development_executable: Field::Null,
        development_platform_connector: Field::Null,
    }
}

/// What is changed in a version; in a connector, in its last one.
pub(super) trait Shape: Sized {
    fn last(&mut self) -> &mut Version;

    fn with(mut self, change: impl FnOnce(&mut Version)) -> Self {
        change(self.last());
        self
    }
    fn production(self, executable: Field<i64>) -> Self {
        self.with(|version| version.production_executable = executable)
    }
    fn platform(self, connector: Field<i64>) -> Self {
        self.with(|version| version.production_platform_connector = connector)
    }
    fn legacy(self, executable: Field<i64>) -> Self {
        self.with(|version| version.legacy_executable = executable)
    }
    fn state(self, state: &str) -> Self {
        self.with(|version| version.state = Field::Value(state.to_owned()))
    }
    fn deleted(self) -> Self {
        self.with(|version| version.deleted_at = Field::Value("2026-11-01T00:00:00Z".to_owned()))
    }
}

impl Shape for Version {
    fn last(&mut self) -> &mut Version {
        self
    }
}

impl Shape for Connector {
    fn last(&mut self) -> &mut Version {
        let Field::Value(versions) = &mut self.versions else { panic!("no versions") };
        versions.last_mut().unwrap()
    }
}

/// A connector with these versions.
pub(super) fn versions(versions: impl IntoIterator<Item = Version>) -> Connector {
    Connector { versions: Field::Value(versions.into_iter().collect()), ..connector() }
}

/// In the bin, all versions are deleted.
pub(super) fn in_the_bin() -> Connector {
    connector().deleted()
}

// Objects.

/// A kind whose objects can be written by hand.
pub(super) trait Kind: Operation<Result: Serialize + DeserializeOwned> + Clone {
    fn meta(&mut self) -> &mut ObjectMeta;
    fn stored(&mut self) -> &mut Option<Status<Self::Result>>;
    fn limit(&mut self, not_after: Timestamp);
    fn deadline(&mut self, seconds: i64);
    fn suspend(&mut self, suspend: bool);
    fn success() -> Answer;
}

macro_rules! kind {
    ($kind:ty, $result:ty, $success:expr, $not_after:expr) => {
        impl Kind for $kind {
            fn meta(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
            fn stored(&mut self) -> &mut Option<Status<$result>> {
                &mut self.status
            }
            fn limit(&mut self, not_after: Timestamp) {
                self.spec.not_after = $not_after(Time(not_after));
            }
            fn deadline(&mut self, seconds: i64) {
                self.spec.active_deadline_seconds = Some(seconds);
            }
            fn suspend(&mut self, suspend: bool) {
                self.spec.suspend = Some(suspend);
            }
            fn success() -> Answer {
                $success
            }
        }
    };
}
kind!(MigrationRollback, RollbackResult, rolled_back(), std::convert::identity);
kind!(ConnectorRestore, RestoreResult, restored(), Some);

fn created_now() -> ObjectMeta {
    ObjectMeta {
        name: Some("omdb".to_owned()),
        uid: Some("00000000-0000-0000-0000-000000000001".to_owned()),
        creation_timestamp: Some(Time(at(0))),
        generation: Some(1),
        ..ObjectMeta::default()
    }
}

/// A rollback of `main`, good for a week; the connector can be read.
pub(super) fn rollback() -> Story<MigrationRollback> {
    Story::of(MigrationRollback {
        metadata: created_now(),
        spec: MigrationRollbackSpec {
            connector_id: CONNECTOR.to_owned(),
            version: "main".to_owned(),
            not_after: Time(at(7 * DAY)),
            active_deadline_seconds: None,
            suspend: None,
            preconditions: None,
        },
        status: None,
    })
}

/// A restore; the connector is in the bin.
pub(super) fn restore() -> Story<ConnectorRestore> {
    Story::of(ConnectorRestore {
        metadata: created_now(),
        spec: ConnectorRestoreSpec {
            connector_id: CONNECTOR.to_owned(),
            not_after: None,
            active_deadline_seconds: None,
            suspend: None,
        },
        status: None,
    })
    .reads(in_the_bin())
}

// The story.

/// One object, and all that its operator, the API server and the CDE do about it.
#[derive(Clone)]
pub(super) struct Story<O: Kind> {
    pub(super) object: O,
    pub(super) me: &'static str,
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    pub(super) observed: Observed,
    pub(super) unrecorded: Option<Status<O::Result>>,
    /// What a read of the connector brings.
    pub(super) reading: Reading,
    /// What the calls are answered with, and what a read brings from then on.
    answers: VecDeque<(Answer, Option<Reading>)>,
    pub(super) calls: Vec<Call>,
    pub(super) reads: usize,
    pub(super) writes: usize,
    pub(super) events: Vec<Announcement>,
}

impl<O: Kind> Story<O> {
    fn of(object: O) -> Self {
        Self {
            object,
            me: ME,
            settings: Settings {
                server: SERVER.to_owned(),
                timeout: Duration::from_secs(30),
                retry_min: Duration::from_secs(1),
                retry_max: Duration::from_mins(5),
                deadline: Some(Duration::from_hours(24)),
            },
            now: at(0),
            observed: Observed { jitter: 1.0, ..Observed::default() },
            unrecorded: None,
            reading: Ok(connector()),
            answers: VecDeque::new(),
            calls: Vec::new(),
            reads: 0,
            writes: 0,
            events: Vec::new(),
        }
    }

    // What is so.

    pub(super) fn reads(mut self, connector: Connector) -> Self {
        self.reading = Ok(connector);
        self
    }
    pub(super) fn reading_fails(mut self, failure: Failure) -> Self {
        self.reading = Err(failure);
        self
    }
    /// What the connector was just read as stands before the rules.
    pub(super) fn just_read(mut self) -> Self {
        self.observed.reading = Some(self.reading.clone());
        self
    }
    pub(super) fn answered(mut self, answer: Result<Data, Failure>) -> Self {
        self.answers.push_back((answer, None));
        self
    }
    /// The call is answered, and from then on a read brings `reading`.
    pub(super) fn answered_then(mut self, answer: Answer, reading: Reading) -> Self {
        self.answers.push_back((answer, Some(reading)));
        self
    }
    pub(super) fn suspended(mut self) -> Self {
        self.object.suspend(true);
        self
    }
    pub(super) fn being_deleted(mut self) -> Self {
        self.object.meta().deletion_timestamp = Some(Time(self.now));
        self
    }
    pub(super) fn not_after(mut self, second: i64) -> Self {
        self.object.limit(at(second));
        self
    }
    pub(super) fn active_deadline(mut self, seconds: i64) -> Self {
        self.object.deadline(seconds);
        self
    }
    pub(super) fn annotated(mut self, retry: &str) -> Self {
        let annotations = self.object.meta().annotations.get_or_insert_default();
        annotations.insert(RETRY_ANNOTATION.to_owned(), retry.to_owned());
        self
    }
    pub(super) fn retry_asked(self, second: i64) -> Self {
        self.annotated(&at(second).to_string())
    }
    pub(super) fn edited(mut self) -> Self {
        *self.object.meta().generation.as_mut().unwrap() += 1;
        self
    }
    pub(super) fn held(mut self) -> Self {
        self.observed.calls_held = true;
        self
    }
    pub(super) fn behind(mut self, other: &str) -> Self {
        self.observed.waits_for = Some(other.to_owned());
        self
    }
    pub(super) fn elsewhere(mut self) -> Self {
        self.settings.server = "https://other.example".to_owned();
        self
    }
    /// The wall clock; nothing else moves.
    pub(super) fn clock(mut self, second: i64) -> Self {
        self.now = at(second);
        self
    }
    /// For how long the present claim or wait has been seen.
    pub(super) fn seen_for(mut self, seconds: u64) -> Self {
        self.observed.seen_for = Duration::from_secs(seconds);
        self
    }
    /// Another process takes over: it has seen nothing yet.
    pub(super) fn taken_over(mut self) -> Self {
        self.me = "pod-b/2";
        self.unrecorded = None;
        self.observed = Observed { jitter: 1.0, ..Observed::default() };
        self
    }

    // What was.

    /// The claim is stored, and nothing is known of its call.
    pub(super) fn claimed(mut self, second: i64) -> Self {
        self.now = at(second);
        loop {
            match self.decide() {
                Step::Read => self = self.just_read(),
                Step::Write(status) => self.store(*status),
                Step::Claim(status) => {
                    self.store(*status);
                    return self;
                }
                step => panic!("no claim, but {step:?}"),
            }
        }
    }
    /// The call that was claimed fails, which is recorded.
    pub(super) fn failing(mut self, failure: &Failure, second: i64) -> Self {
        self.now = at(second);
        let status = self.conclude(Err(failure));
        self.store(status);
        self
    }
    pub(super) fn failed(self, code: u16, second: i64) -> Self {
        self.failing(&status(code), second)
    }
    /// The call that was claimed succeeds, which is recorded.
    pub(super) fn succeeded(mut self, second: i64) -> Self {
        self.now = at(second);
        let answer = O::success().unwrap();
        let status = self.conclude(Ok(&answer));
        self.store(status);
        self
    }

    // What happens.

    /// One decision.
    pub(super) fn decide(&self) -> Step<O::Result> {
        decide(&Situation {
            object: &self.object,
            unrecorded: self.unrecorded.as_ref(),
            now: self.now,
            me: self.me,
            settings: &self.settings,
            observed: &self.observed,
        })
    }

    pub(super) fn conclude(&self, answer: Result<&Data, &Failure>) -> Status<O::Result> {
        conclude(&Conclusion {
            object: &self.object,
            answer,
            token_changed: self.observed.token_changed,
            now: self.now,
            settings: &self.settings,
            jitter: self.observed.jitter,
        })
    }

    /// Goes on as the shell does, until there is nothing to do but to wait.
    pub(super) fn run(&mut self) -> Step<O::Result> {
        for _ in 0..20 {
            match self.decide() {
                Step::Write(status) => {
                    self.unrecorded = None;
                    self.store(*status);
                }
                Step::Claim(status) => {
                    self.store(*status);
                    self.act();
                }
                Step::Read => {
                    self.reads += 1;
                    self.observed.reading = Some(self.reading.clone());
                }
                step @ (Step::Wait(_) | Step::Rest | Step::NotOurs { .. }) => return step,
            }
        }
        panic!("no rest after 20 steps: {:?}", self.object.status());
    }

    /// Goes on until a call has brought its outcome, which is not stored yet.
    pub(super) fn run_to_outcome(&mut self) {
        while self.unrecorded.is_none() {
            match self.decide() {
                Step::Read => self.observed.reading = Some(self.reading.clone()),
                Step::Claim(status) => {
                    self.store(*status);
                    self.act();
                }
                step => panic!("no call, but {step:?}"),
            }
        }
    }

    /// Stores what one decision says.
    pub(super) fn run_one(&mut self) {
        let status = written(self.decide());
        self.unrecorded = None;
        self.store(status);
    }

    /// Waits for as long as was decided, by both clocks, and goes on.
    pub(super) fn wait_and_run(&mut self) -> Step<O::Result> {
        let Step::Wait(Some(time)) = self.run() else { panic!("not waiting: {:?}", self.object.status()) };
        self.now += time;
        self.observed.seen_for += time;
        self.run()
    }

    /// The story after all that happens at once.
    pub(super) fn told(mut self) -> Self {
        self.run();
        self
    }
    /// The story after all that happens at once, after a wait, and at once again.
    pub(super) fn waited(mut self) -> Self {
        self.wait_and_run();
        self
    }

    fn act(&mut self) {
        self.calls.push(self.object.call(&self.object.status().unwrap().result));
        let (answer, reading) = self.answers.pop_front().unwrap_or_else(|| panic!("a call too many"));
        self.unrecorded = Some(self.conclude(answer.as_ref()));
        self.reading = reading.unwrap_or_else(|| self.reading.clone());
    }

    /// As the API server does: times have whole seconds, and the rules at the root of the schema hold.
    pub(super) fn store(&mut self, status: Status<O::Result>) {
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(serde_json::from_value::<Status<O::Result>>(json).unwrap(), status, "not as it is stored");
        let before = self.object.stored().replace(status);
        let after = self.object.status().unwrap();
        if let Some(outcome) = before.as_ref().and_then(|status| status.outcome).filter(|o| o.is_final()) {
            assert_eq!(after.outcome, Some(outcome), "a final outcome is taken back");
        }
        let same = |one: &OperationRecord, other: &OperationRecord| one.id == other.id;
        if let (Some(was), Some(is)) = (before.as_ref().and_then(|b| b.operation.as_ref()), &after.operation) {
            assert!(!same(was, is) || is.attempts >= was.attempts, "attempts went down");
        }
        if before.as_ref().and_then(pause) != pause(after) {
            self.observed.seen_for = Duration::ZERO;
        }
        self.events.extend(announce(before.as_ref(), after, &[]));
        self.observed.reading = None;
        self.observed.token_changed = false;
        self.writes += 1;
    }

    // What came of it.

    pub(super) fn status(&self) -> &Status<O::Result> {
        self.object.status().unwrap()
    }
    pub(super) fn operation(&self) -> &OperationRecord {
        self.status().operation.as_ref().unwrap()
    }
    pub(super) fn reason(&self) -> Reason {
        self.status().reason.unwrap()
    }
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.status().outcome
    }
    pub(super) fn message(&self) -> &str {
        &self.status().conditions[0].message
    }
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.operation().next_attempt_at.as_ref().map(|time| time.0)
    }
}

/// A claim or a wait: while it stays the same its time runs.
fn pause<R>(status: &Status<R>) -> Option<(String, u32, u32, bool)> {
    let operation = status.operation.as_ref()?;
    Some((operation.id.clone(), operation.attempts, operation.retries, operation.in_flight.is_some()))
}

/// What the step stores; panics where it stores nothing.
pub(super) fn written<R: std::fmt::Debug>(step: Step<R>) -> Status<R> {
    match step {
        Step::Write(status) => *status,
        step => panic!("nothing is stored, but {step:?}"),
    }
}
