//! The real rules, called by number: [`decide`] and [`apply_response`] are the operator's own, and none of their code
//! is copied. They are pure, so each question is asked once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use cde_operator::api::{CONFIRM_ANNOTATION, RETRY_ANNOTATION, Reason, Status};
use cde_operator::cde::model::{Call, Connector, Data, Failure, FailureKind};
use cde_operator::operation::{
    Observed, Release, Response, Settings, Situation, Step, apply_response, confirm_by_read, decide,
    may_record, rebase, release_claim, strip_result,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::clock::{self, BACKOFF, Glance, TIMEOUT, at};
use crate::mutations::Mutation;
use crate::state::{Answer, Era, Major, Name, Object, Reading, Request};
pub(crate) use crate::status_table::StatusId;
use crate::status_table::{StatusSummary, StatusTable, holder, retry_time};
use crate::subject::Subject;

/// Everything that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) object: Object,
    pub(crate) era: Era,
    pub(crate) main: Major,
    pub(crate) me: Name,
    pub(crate) glance: Glance,
    pub(crate) reading: Option<Reading>,
    pub(crate) claim_unsent: bool,
}

/// A [`Step`], by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    Read,
    Write(StatusId),
    Claim(StatusId),
}

/// The inputs of the rules, which a mutation may falsify.
pub(crate) struct Inputs<S: Subject> {
    pub(crate) object: Object,
    /// The request in `status`.
    pub(crate) request: Option<Request>,
    pub(crate) status: Status<S::Result>,
    pub(crate) me: String,
    pub(crate) seen_for: Duration,
    pub(crate) reading: Option<Result<Connector, Failure>>,
}

/// A response as the CDE client returns it.
pub(crate) type CallResult = Result<Data, Failure>;

/// The rules for one kind.
pub(crate) struct Rules<S: Subject> {
    settings: Settings,
    mutation: Option<Mutation>,
    table: RwLock<StatusTable<S::Result>>,
    verdicts: RwLock<HashMap<Question, Verdict>>,
    records: RwLock<HashMap<(Object, Answer, clock::Step), StatusId>>,
}

impl<S: Subject> Rules<S> {
    pub(crate) fn new(mutation: Option<Mutation>) -> Self {
        let settings = Settings {
            server: "https://cde.example".to_owned(),
            timeout: TIMEOUT,
            retry_min: BACKOFF,
            retry_max: BACKOFF,
            deadline: None,
        };
        let table = RwLock::new(StatusTable::new());
        Self { settings, mutation, table, verdicts: RwLock::default(), records: RwLock::default() }
    }

    /// Returns the status that the API server gives a new object.
    pub(crate) fn unseen(&self) -> StatusId {
        self.write(Status { observed_generation: Some(-1), ..Status::default() })
    }

    /// Returns the reasons in all statuses that occurred.
    pub(crate) fn reasons(&self) -> BTreeSet<Reason> {
        self.table.read().unwrap().reasons()
    }

    pub(crate) fn summary(&self, id: StatusId) -> StatusSummary {
        self.table.read().unwrap().read(id).1
    }

    fn status(&self, id: StatusId) -> Arc<Status<S::Result>> {
        self.table.read().unwrap().read(id).0.clone()
    }

    fn write(&self, status: Status<S::Result>) -> StatusId {
        self.table.write().unwrap().write(status)
    }

    /// Returns the next step.
    pub(crate) fn decide(&self, question: &Question) -> Verdict {
        if let Some(verdict) = self.verdicts.read().unwrap().get(question) {
            return *verdict;
        }
        let verdict = match self.ask(question) {
            Step::Rest | Step::Wait(_) | Step::Hold(_) | Step::NotOurs { .. } => Verdict::Wait,
            Step::Read => Verdict::Read,
            Step::Write(status) => Verdict::Write(self.write(*status)),
            Step::Claim(status) => Verdict::Claim(self.write(*status)),
        };
        self.verdicts.write().unwrap().insert(*question, verdict);
        verdict
    }

    fn ask(&self, question: &Question) -> Step<S::Result> {
        let mut inputs = Inputs::<S> {
            object: question.object,
            request: self.summary(question.object.status).request,
            status: Status::clone(&self.status(question.object.status)),
            me: holder(question.me),
            seen_for: question.glance.seen_for(),
            reading: question.reading.map(|reading| result_of_reading::<S>(reading, question.main)),
        };
        if let Some(mutation) = self.mutation {
            mutation
                .falsify_inputs(&mut inputs, &|status| self.object(question.object, question.era, status));
        }
        let step = decide(&Situation {
            object: &self.object(inputs.object, question.era, inputs.status),
            now: question.glance.now(),
            holder: &inputs.me,
            settings: &self.settings,
            observed: &Observed {
                seen_for: inputs.seen_for,
                reading: inputs.reading,
                on_hold: question.glance.held(),
                claim_unsent: question.claim_unsent,
                jitter: 1.0,
                ..Observed::default()
            },
        });
        match self.mutation {
            Some(mutation) => mutation.falsify_step(step),
            None => step,
        }
    }

    /// Returns the status after `answer` to the claim in `object`, if the wall clock took this step meanwhile.
    pub(crate) fn apply_response(&self, claimed: Object, answer: Answer, step: clock::Step) -> StatusId {
        let key = (claimed, answer, step);
        if let Some(id) = self.records.read().unwrap().get(&key) {
            return *id;
        }
        let mut status = Status::clone(&self.status(claimed.status));
        let mut told = result_of_answer::<S>(answer);
        if let Some(mutation) = self.mutation {
            mutation.falsify_answer::<S>(&mut status, &mut told);
        }
        let mut outcome = apply_response(&Response {
            object: &self.object(claimed, Era::InTime, status),
            result: told.as_ref(),
            refusal_confirmed: false,
            token_changed: answer == (Answer::Unauthorized { replaced: true }),
            claim_left: self
                .mutation
                .map_or(TIMEOUT, |mutation| mutation.falsify_claim_left(TIMEOUT, step.now())),
            now: step.now(),
            settings: &self.settings,
            jitter: 1.0,
        });
        if let Some(mutation) = self.mutation {
            mutation.falsify_outcome(&mut outcome);
        }
        let id = self.write(outcome);
        self.records.write().unwrap().insert(key, id);
        id
    }

    /// Returns the major version that a call for `claimed` names.
    pub(crate) fn called(&self, claimed: Object) -> Option<Major> {
        let status = Status::clone(&self.status(claimed.status));
        let result = status.result.clone();
        let call = self.object(claimed, Era::InTime, status).call(&result);
        let Call::RollBackMigration { version, .. } = call else { return None };
        version.parse().ok()
    }

    /// Returns the record of a refusal after a read; `None` if the read does not change it.
    pub(crate) fn confirm(
        &self,
        claimed: Object,
        refused: StatusId,
        reading: Reading,
        main: Major,
    ) -> Option<StatusId> {
        let status = Status::clone(&self.status(claimed.status));
        let none = Err(spoken(404));
        let confirmed = confirm_by_read(
            &Response {
                object: &self.object(claimed, Era::InTime, status),
                result: none.as_ref(),
                refusal_confirmed: false,
                token_changed: false,
                claim_left: TIMEOUT,
                now: at(1),
                settings: &self.settings,
                jitter: 1.0,
            },
            &self.status(refused),
            &result_of_reading::<S>(reading, main),
            false,
        );
        confirmed.map(|status| self.write(status))
    }

    /// Returns the status with the claim released.
    pub(crate) fn release(&self, claimed: Object, why: Release) -> StatusId {
        let status = Status::clone(&self.status(claimed.status));
        let object = self.object(claimed, Era::InTime, status);
        self.write(release_claim(&object, why, at(1), &self.settings, 1.0))
    }

    /// Returns whether `outcome`, decided on `base`, may be stored where `fresh` is stored now.
    pub(crate) fn may_record(&self, base: StatusId, fresh: StatusId, outcome: StatusId) -> bool {
        may_record(Some(&self.status(base)), Some(&self.status(fresh)), &self.status(outcome))
    }

    /// Returns `outcome` for an object whose status is now `stored`.
    pub(crate) fn rebase(&self, outcome: StatusId, stored: StatusId) -> StatusId {
        let (outcome, stored) = (self.status(outcome), self.status(stored));
        self.write(rebase(&outcome, Some(&stored)))
    }

    /// Returns `outcome` for an API server that rejects the CDE's data.
    pub(crate) fn strip_result(&self, outcome: StatusId) -> StatusId {
        let outcome = self.status(outcome);
        self.write(strip_result(&outcome))
    }

    /// Returns `outcome` as if it had handled this retry, for a mutation.
    pub(crate) fn handling(&self, outcome: StatusId, retry: u8) -> StatusId {
        let mut outcome = Status::clone(&self.status(outcome));
        outcome.last_handled_retry = (retry > 0).then(|| Time(retry_time(retry)));
        self.write(outcome)
    }

    /// Returns the object as the rules see it.
    fn object(&self, object: Object, era: Era, status: Status<S::Result>) -> S {
        let created = at(-3600);
        let not_after = match era {
            Era::InTime => SignedDuration::from_hours(24 * 30),
            Era::Expired => SignedDuration::from_mins(59),
            Era::Replayed => SignedDuration::from_hours(-48),
        };
        let retry =
            (object.retry > 0).then(|| (RETRY_ANNOTATION.to_owned(), retry_time(object.retry).to_string()));
        let confirm = object.confirm.map(|(request, succeeded)| {
            let outcome = if succeeded { "Succeeded" } else { "Failed" };
            let id = self.table.read().unwrap().request_id(request);
            (CONFIRM_ANNOTATION.to_owned(), format!("{id}:{outcome}"))
        });
        let metadata = ObjectMeta {
            name: Some("omdb".to_owned()),
            uid: Some("00000000-0000-0000-0000-000000000001".to_owned()),
            creation_timestamp: Some(Time(created)),
            generation: Some(i64::from(object.generation)),
            deletion_timestamp: object.being_deleted.then(|| Time(at(0))),
            annotations: Some(retry.into_iter().chain(confirm).collect()),
            ..ObjectMeta::default()
        };
        S::object(metadata, object.suspended, created + not_after, status)
    }
}

fn result_of_reading<S: Subject>(reading: Reading, main: Major) -> Result<Connector, Failure> {
    match reading {
        Reading::Seen(stand) => Ok(S::connector(stand, main)),
        Reading::Refused => Err(spoken(403)),
        Reading::Unauthorized => Err(spoken(401)),
        Reading::Failed => Err(spoken(500)),
    }
}

fn result_of_answer<S: Subject>(answer: Answer) -> CallResult {
    Err(match answer {
        Answer::Done => return Ok(S::success()),
        Answer::Unreadable => failure(FailureKind::Unreadable { code: 200 }),
        Answer::Locked => spoken(423),
        Answer::OperationNotAllowed => spoken(400),
        Answer::NotFound => spoken(404),
        Answer::Unauthorized { .. } => spoken(401),
        Answer::Broken { .. } => spoken(500),
        Answer::Silent { .. } => failure(FailureKind::NoAnswer),
    })
}

/// Returns a refusal with the message that the CDE API documents.
fn spoken(code: u16) -> Failure {
    let message = match code {
        400 => "Operation is only allowed for connectors that were previously synchronized to production",
        403 => "Access denied for user.",
        404 => "Connector not found.",
        _ => "message of the API",
    };
    Failure { message: message.to_owned(), ..failure(FailureKind::Status { code, from_api: true }) }
}

pub(crate) fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: "message of the API".to_owned(), retry_at: None }
}
