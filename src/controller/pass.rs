//! One pass over one object: what it knows so far, and how it asks the rules.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::controller::Action;
use opentelemetry::global::BoxedSpan;
use tokio::sync::SemaphorePermit;

use crate::api::Status;
use crate::cde::Token;
use crate::cde::model::{CallId, Failure};
use crate::operation::{Observed, Situation, Step, announce_gone, decide, identify};

use super::Managed;
use super::act::Acted;
use super::context::Context;
use super::events::{Event, warn_unreadable_retry};
use super::packed::Packed;
use super::roster::Key;

/// A pass that could not go on; nothing is lost, it begins again from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The API server did not answer, or not with what was asked for.
    #[error("the API server cannot be used: {0}")]
    ApiServer(String),
    /// The API server drops fields of the status: its definitions are older than this operator.
    #[error("the API server's custom resource definitions are older than this operator: apply crds/")]
    CrdTooOld,
}

impl Interrupted {
    /// Which one, as one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::ApiServer(_) => "api_server",
            Self::CrdTooOld => "crd_too_old",
        }
    }
}

/// One pass over one object.
pub(super) struct Pass<'a, O: Managed> {
    pub(super) context: &'a Context<O>,
    pub(super) key: Key,
    /// As stored, as far as this process knows.
    pub(super) object: Arc<O>,
    /// The outcome of a call that is not stored yet.
    pub(super) unrecorded: Option<Status<O::Result>>,
    /// Fields that a successful answer lacked.
    pub(super) odd: Vec<String>,
    pub(super) observed: Observed,
    /// The right to one call, as far as the rate goes.
    pub(super) rated: bool,
    /// There is nothing left to decide: the object is gone, or the operator stops.
    pub(super) over: bool,
    /// When it began.
    pub(super) begun: SystemTime,
    /// The span of the request that this pass has finished; it ends with the pass.
    pub(super) finished: Option<BoxedSpan>,
    _worker: SemaphorePermit<'a>,
}

impl<'a, O: Managed> Pass<'a, O> {
    /// Waits for a free worker; `None` when there is nothing to begin.
    pub(super) async fn begin(object: &Packed<O>, context: &'a Context<O>) -> Option<Self> {
        let worker = context.shared.workers.acquire().await.ok()?;
        let key = Key::of::<O>(object.meta())?;
        if context.shared.stop.is_ordered() || !context.shared.roster.knows(&key) {
            return None;
        }
        let newest = context.newest(object);
        let object = newest.inspect_err(|error| tracing::error!(%error, "cannot be decoded")).ok()?;
        warn_unreadable_retry(&context.shared, &key, object.as_ref());
        Some(Self {
            context,
            key,
            object,
            unrecorded: None,
            odd: Vec::new(),
            observed: Observed::default(),
            rated: false,
            over: false,
            begun: SystemTime::now(),
            finished: None,
            _worker: worker,
        })
    }

    /// Looks at clock, turn and gate, and asks the rules.
    pub(super) fn decide(&mut self) -> Step<O::Result> {
        if self.over {
            return Step::Rest;
        }
        let shared = &self.context.shared;
        let now = Timestamp::now();
        (self.observed.seen_for, self.observed.clock_set) = shared.roster.seen(&self.key);
        self.observed.waits_for = shared.roster.waits_for(&self.key, now);
        self.observed.calls_held = !shared.gate.admits(&self.key, self.last_call());
        self.observed.jitter = rand::random();
        decide(&self.situation(now))
    }

    fn situation(&self, now: Timestamp) -> Situation<'_, O> {
        Situation {
            object: self.object.as_ref(),
            unrecorded: self.unrecorded.as_ref(),
            now,
            me: &self.context.shared.me,
            settings: &self.context.shared.settings,
            observed: &self.observed,
        }
    }

    /// Identifies the next call: the request that it belongs to, and the attempts that were claimed so far.
    pub(super) fn next_call(&self) -> CallId {
        identify(&self.situation(Timestamp::now()))
    }

    /// The pass went through: what comes next comes later.
    pub(super) fn wait(&self, time: Option<Duration>) -> Action {
        self.context.shared.roster.went_through(&self.key);
        time.map_or_else(Action::await_change, Action::requeue)
    }

    /// The request belongs to an operator with another base address.
    pub(super) fn leave_to(&self, server: &str) -> Action {
        if self.context.shared.roster.first_notice(&self.key) {
            tracing::warn!(server, "claimed for another base address; left to the operator that has it");
        }
        self.wait(None)
    }

    /// Tells gate and figures what came of a call; whether the token it used was refused and has been replaced.
    pub(super) fn called(
        &self,
        operation: &'static str,
        answer: Result<(), &Failure>,
        token: &Token,
        took: Duration,
    ) -> bool {
        let shared = &self.context.shared;
        let failure = answer.err();
        let code = failure.map_or(Some(200), Failure::code);
        shared.metrics.called(operation, code, took);
        let refused = code == Some(401);
        if refused {
            shared.tokens.reload();
        }
        let current = shared.tokens.current().generation();
        shared.gate.report(&self.key, self.object.wish().connector, failure, current != token.generation());
        match failure {
            // What came of it is told when it is stored.
            None => tracing::debug!(call = operation, "the CDE API answered"),
            Some(failure) => {
                tracing::info!(call = operation, code, error = failure.message, "the call failed");
            }
        }
        refused && current != token.generation()
    }

    /// When this object last called: who has waited longest goes first while the API is down.
    pub(super) fn last_call(&self) -> Timestamp {
        let operation = self.object.status().and_then(|status| status.operation.as_ref());
        operation
            .and_then(|operation| operation.last_attempt_at.as_ref())
            .or(self.object.meta().creation_timestamp.as_ref())
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
    }

    /// Takes over the object as the API server has it now.
    pub(super) fn take(&mut self, object: O) {
        let object = Arc::new(object);
        self.context.shared.roster.see(object.as_ref());
        self.context.keep_newest(&self.key, &object);
        self.object = object;
        self.forget_reading();
    }

    /// A reading serves one decision.
    pub(super) fn forget_reading(&mut self) {
        self.observed.reading = None;
        self.observed.token_changed = false;
    }

    /// The object is gone: an outcome that cannot be stored goes to the log, and to an Event where one is still
    /// accepted.
    pub(super) fn gone(&mut self) {
        self.over = true;
        self.context.forget(&self.key);
        let Some(status) = self.unrecorded.take() else { return };
        self.finished = self.whole(&status);
        let operation = status.operation.as_ref();
        let error = operation.and_then(|operation| operation.last_error.as_ref());
        tracing::warn!(
            uid = %self.key.uid,
            operation = operation.map(|operation| operation.id.as_str()),
            outcome = status.outcome.map(crate::api::Outcome::as_str),
            reason = status.reason.map(crate::api::Reason::as_str),
            code = error.and_then(|error| error.code),
            error = error.map(|error| error.message.as_str()),
            "the object was deleted while its call was under way"
        );
        if let Some(announcement) = announce_gone(self.object.status(), &status, &self.odd) {
            self.context.shared.events.publish(Event::about(self.object.as_ref(), announcement));
        }
    }

    /// What an answer makes of the claim.
    pub(super) fn conclude(&mut self, acted: Acted<O::Result>) {
        self.odd = acted.odd;
        self.unrecorded = Some(acted.status);
    }
}

impl<O: Managed> Drop for Pass<'_, O> {
    fn drop(&mut self) {
        let shared = &self.context.shared;
        shared.roster.release(&self.key);
        shared.gate.done(&self.key);
    }
}
