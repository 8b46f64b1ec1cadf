//! The model: what may happen next in the world, and what the world is then.

use std::collections::HashSet;
use std::sync::RwLock;

use stateright::{Model, Property};

use crate::clock::{Glance, Step};
use crate::mutations::Mutation;
use crate::rules::Rules;
use crate::subject::{Stand, Subject};
use crate::world::{
    Answer, Bounds, Era, Object, Operator, Phase, REQUESTS, Reading, Request, Who, World, Writing,
};

/// What becomes of a write to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is answered: stored, or refused for a conflict.
    Answered,
    /// It is stored, and the answer is lost.
    AnswerLost,
    /// It is lost.
    Lost,
    /// It arrives when its sender has given up waiting.
    Late,
    /// It is refused for its content (422).
    Refused,
}

/// What a decision leads to at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing is left to do: the pass ends.
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
    /// Under a new one.
    NewName,
    /// Under a new one; and it is shown the version before the present one.
    ShownThePast,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The watch brings what the API server has.
    Watches(Who),
    /// The rules are asked, and what they say is done.
    Decides(Who, Glance, Deed),
    /// After an unclear answer the object is read again.
    ReadsBack(Who),
    /// The API server does not answer that read either: the pass ends.
    ReadsBackInVain(Who),
    /// The call goes out.
    Calls(Who),
    /// The operator stops, or the claim's end has come: the claim is released.
    Releases(Who),
    /// The circuit breaker opens before the call: the process decides again, and knows that it sent nothing.
    Hesitates(Who),
    /// The call is answered.
    IsAnswered(Who, Answer, Step),
    /// The response must be confirmed, and the connector is read.
    Confirms(Who, Reading),
    /// The record is written.
    Records(Who, Delivery),
    /// The record is written again.
    WritesAgain(Who, Delivery),
    /// The process dies and starts again.
    Crashes(Who, Restart),
    /// All that is under way has taken a claim's length.
    ClaimTimePasses,
    /// A write arrives whose sender has given up waiting.
    LateWriteArrives,
    /// A call that nobody listens for any more has its effect.
    LateEffect(Request),
    /// What was moving is done.
    Settles,
    /// `notAfter` passes.
    Expires,
    /// Somebody else changes the connector.
    Meddles,
    /// The connector gets another main version.
    MovesMain,
    /// Reading the connector is refused from now on, or allowed.
    TurnsReading,
    /// A person suspends, or resumes.
    TurnsSuspend,
    /// A person asks for a retry.
    AsksForRetry,
    /// An old retry annotation, or none, is put back.
    PutsRetryBack,
    /// The object is marked for deletion; somebody else's finalizer holds it.
    Deletes,
    /// The object is gone.
    Goes,
}

/// The model of one kind, within bounds.
pub(crate) struct Machine<S: Subject> {
    pub(crate) rules: Rules<S>,
    pub(crate) bounds: Bounds,
    pub(crate) mutation: Option<Mutation>,
    /// A process may be frozen between its last look at the clock and its call: the design's limit.
    pub(crate) calls_outlive_claims: bool,
    /// Fingerprints of worlds, without faults from now on, that are known to end well.
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

    /// A new object, seen by two operators that have just started.
    fn begin(&self, era: Era, reading_refused: bool) -> World {
        let status = self.rules.unseen();
        let object = Object { status, generation: 1, suspended: false, being_deleted: false, retry: 0 };
        let operator = |who| Operator {
            name: (who, 0),
            view: Some(object),
            current: true,
            ripe: false,
            phase: Phase::Idle,
            claimed: None,
            unsent: None,
        };
        World {
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

    /// The world after `event`.
    pub(crate) fn after(&self, mut world: World, event: Event) -> World {
        let now = &mut world;
        match event {
            Event::Watches(who) => self.take(now, who),
            Event::Decides(who, glance, deed) => self.decides(now, who, glance, deed),
            Event::ReadsBack(who) => self.reads_back(now, who),
            Event::ReadsBackInVain(who) => {
                now.left.lost_writes -= 1;
                now.operator_mut(who).phase = Phase::Idle;
            }
            Event::Calls(who) => self.calls(now, who),
            Event::Releases(who) => self.releases(now, who),
            Event::Hesitates(who) => Self::hesitates(now, who),
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
        world
    }
}

impl<S: Subject> Model for Machine<S> {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin(Era::InTime, false), self.begin(Era::InTime, true), self.begin(Era::Replayed, false)]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        for who in Who::BOTH {
            self.operator_events(world, who, events);
        }
        self.cde_events(world, events);
        Self::people_events(world, events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        Some(self.after(*world, event))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::all()
    }
}
