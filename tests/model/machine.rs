//! The model: which events can happen in a state, and the state after each.

use std::collections::HashSet;
use std::sync::RwLock;

use stateright::{Model, Property};

use crate::clock::{Glance, Step};
use crate::mutations::Mutation;
use crate::rules::Rules;
use crate::state::{
    Answer, Bounds, Era, ModelState, Object, Operator, Phase, REQUESTS, Reading, Request, Who, Writing,
};
use crate::subject::{Stand, Subject};

/// What happens to a write to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is answered: stored, or rejected with a conflict.
    Answered,
    /// It is stored, and the reply is lost.
    AnswerLost,
    /// It is lost.
    Lost,
    /// It arrives after its sender has given up waiting.
    Late,
    /// Its content is rejected (422).
    Refused,
}

/// The immediate result of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing is left to do: the reconciliation ends.
    Ends,
    /// The connector is read.
    Reads(Reading),
    /// A status is written.
    Writes(Writing, Delivery),
}

/// How a process starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Under the same name.
    SameName,
    /// Under a new name.
    NewName,
    /// Under a new name, and the watch first shows the previous version.
    ShownThePast,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The watch delivers the stored version.
    Watches(Who),
    /// The rules decide, and the operator does it.
    Decides(Who, Glance, Decision),
    /// After an unclear answer the object is read again.
    ReadsBack(Who),
    /// The API server does not answer that read either: the reconciliation ends.
    ReadsBackInVain(Who),
    /// The call goes out.
    Calls(Who),
    /// The operator stops, or the end of the claim has come: the claim is released.
    Releases(Who),
    /// The circuit breaker opens before the call. The process decides again, and knows that it sent nothing.
    Hesitates(Who),
    /// The call is answered.
    IsAnswered(Who, Answer, Step),
    /// The response needs confirmation, and the connector is read.
    Confirms(Who, Reading),
    /// The record is written.
    Records(Who, Delivery),
    /// The record is written again.
    WritesAgain(Who, Delivery),
    /// The process dies and starts again.
    Crashes(Who, Restart),
    /// Everything under way has taken a claim's length.
    ClaimTimePasses,
    /// A write arrives after its sender has given up waiting.
    LateWriteArrives,
    /// An abandoned call has its effect.
    LateEffect(Request),
    /// A transition of the connector ends.
    Settles,
    /// `notAfter` passes.
    Expires,
    /// Somebody else changes the connector.
    Meddles,
    /// The connector gets another main version.
    MovesMain,
    /// Reading the connector becomes forbidden, or allowed.
    TurnsReading,
    /// A person suspends, or resumes.
    TurnsSuspend,
    /// A person requests a retry.
    AsksForRetry,
    /// An old retry annotation, or none, is put back.
    PutsRetryBack,
    /// A person annotates what became of a request of unknown outcome.
    AnnotatesOutcome {
        /// It had its effect.
        succeeded: bool,
    },
    /// The object is marked for deletion, and a finalizer keeps it.
    Deletes,
    /// The object is deleted.
    Goes,
}

/// The model of one kind, within bounds.
pub(crate) struct Machine<S: Subject> {
    pub(crate) rules: Rules<S>,
    pub(crate) bounds: Bounds,
    pub(crate) mutation: Option<Mutation>,
    /// A process may be frozen between its last check of the clock and its call, which is a documented limit.
    pub(crate) calls_outlive_claims: bool,
    /// Fingerprints of states that are known to end well if no more faults happen.
    pub(crate) ending: RwLock<HashSet<u64>>,
}

impl<S: Subject> Machine<S> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self::with(bounds, None)
    }

    pub(crate) fn with(bounds: Bounds, mutation: Option<Mutation>) -> Self {
        let (rules, ending) = (Rules::new(mutation), RwLock::default());
        Self { rules, bounds, mutation, calls_outlive_claims: false, ending }
    }

    pub(crate) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Returns the state with a new object, which two operators that have just started see.
    fn begin(&self, era: Era, reading_refused: bool) -> ModelState {
        let status = self.rules.unseen();
        let object =
            Object { status, generation: 1, suspended: false, being_deleted: false, retry: 0, confirm: None };
        let operator = |who| Operator {
            name: (who, 0),
            view: Some(object),
            current: true,
            ripe: false,
            phase: Phase::Idle,
            claimed: None,
            unsent: None,
        };
        ModelState {
            object: Some(object),
            previous: None,
            operators: Who::BOTH.map(operator),
            old: false,
            delayed: None,
            connector: Stand::Before,
            reading_refused,
            under_way: [None; 2],
            effects: [0; REQUESTS],
            seen_unchanged: false,
            meddled: false,
            main: 1,
            called: [None; REQUESTS],
            era,
            left: self.bounds,
            breaches: crate::properties::Breaches::default(),
        }
    }

    /// Returns the state after `event`.
    pub(crate) fn after(&self, mut state: ModelState, event: Event) -> ModelState {
        let now = &mut state;
        match event {
            Event::Watches(who) => self.take(now, who),
            Event::Decides(who, glance, decision) => self.decides(now, who, glance, decision),
            Event::ReadsBack(who) => self.reads_back(now, who),
            Event::ReadsBackInVain(who) => {
                now.left.lost_writes -= 1;
                now.operator_mut(who).phase = Phase::Idle;
            }
            Event::Calls(who) => self.calls(now, who),
            Event::Releases(who) => self.releases(now, who),
            Event::Hesitates(who) => Self::keeps_claim(now, who),
            Event::Confirms(who, reading) => self.confirms(now, who, reading),
            Event::Records(who, delivery) => self.records_now(now, who, delivery),
            Event::IsAnswered(who, answer, step) => self.is_answered(now, who, answer, step),
            Event::WritesAgain(who, delivery) => self.writes_again(now, who, delivery),
            Event::Crashes(who, restart) => self.crashes(now, who, restart),
            Event::ClaimTimePasses => self.claim_time_passes(now),
            Event::LateWriteArrives => self.late_write_arrives(now),
            Event::LateEffect(request) => Self::late_effect(now, request),
            Event::Settles => now.connector = Stand::After,
            Event::Expires => {
                now.left.expiries -= 1;
                now.era = Era::Expired;
            }
            other => self.is_changed(now, other),
        }
        self.forget_unsent(now);
        state
    }
}

impl<S: Subject> Model for Machine<S> {
    type State = ModelState;
    type Action = Event;

    fn init_states(&self) -> Vec<ModelState> {
        vec![self.begin(Era::InTime, false), self.begin(Era::InTime, true), self.begin(Era::Replayed, false)]
    }

    fn actions(&self, state: &ModelState, events: &mut Vec<Event>) {
        for who in Who::BOTH {
            self.operator_events(state, who, events);
        }
        self.cde_events(state, events);
        self.people_events(state, events);
    }

    fn next_state(&self, state: &ModelState, event: Event) -> Option<ModelState> {
        Some(self.after(*state, event))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::all()
    }
}
