//! The model: which events can happen in a state, and the state after each.

use std::collections::HashSet;
use std::sync::RwLock;

use stateright::{Model, Property};

use crate::state::Who;

use super::mutations::Mutation;
use super::properties::{Breaches, all};
use super::server::{Kind, Server};
use super::state::{Bounds, Number, Numbers, Phase, Process, RefreshState, Secret};

/// What happens to a patch of the Secret. That the API server is down for a while is no event: the process waits and
/// tries again, as if it stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is answered: stored, or rejected with a conflict, after which the Secret is read.
    Answered,
    /// It is stored, and the reply is lost.
    AnswerLost,
    /// It is lost.
    Lost,
    /// It arrives after its sender has given up waiting.
    Late,
}

/// The answer of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// What the server replies.
    Usual,
    /// A 500, or a cut answer.
    Unknown {
        /// The request had its effect.
        effect: bool,
    },
    /// No answer in time. The request may still arrive.
    Silent,
    /// Nothing was sent, or the server limits or refuses the call.
    Refused,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The watch delivers the stored version.
    Watches(Who),
    /// The watch delivers the version before, after a newer one was read.
    WatchesThePast(Who),
    /// A refresh becomes due.
    BecomesDue(Who),
    /// The CDE API answers 401 to the access token in use.
    IsUnauthorized(Who),
    /// The claim is written.
    Claims(Who, Delivery),
    /// The refresh token goes out.
    Sends(Who),
    /// The process finds that the time of its claim is over.
    Hesitates(Who),
    /// The token endpoint answers.
    IsAnswered(Who, Response),
    /// The new tokens are written.
    Persists(Who, Delivery),
    /// The Secret is read after `invalid_grant`.
    Rereads(Who),
    /// The claim is removed.
    Releases(Who, Delivery),
    /// The process dies and starts again under another name.
    Crashes {
        who: Who,
        /// It is shown the previous version first.
        outdated: bool,
    },
    /// Everything under way has taken a claim's length.
    ClaimTimePasses,
    /// The grace period of all spent refresh tokens ends.
    GraceEnds,
    /// A patch arrives after its sender has given up waiting.
    LateWriteArrives,
    /// An abandoned request arrives at the token endpoint.
    LateRequestArrives(Number),
    /// A person logs in.
    LogsIn,
    /// A person logs out.
    LogsOut,
    /// The login with this access token is put back, without a claim.
    PutsBack(Number),
    /// A label of the Secret changes.
    ChangesLabel,
}

/// The model with one kind of authorization server, within bounds.
pub(crate) struct Machine {
    pub(crate) kind: Kind,
    pub(crate) bounds: Bounds,
    pub(crate) mutation: Option<Mutation>,
    /// A process may stand still while its request is under way, which is a documented limit.
    pub(crate) excuses_stand_stills: bool,
    /// Fingerprints of states that are known to end well if no more faults happen.
    pub(crate) ending: RwLock<HashSet<u64>>,
}

impl Machine {
    pub(crate) fn new(kind: Kind, bounds: Bounds) -> Self {
        Self { kind, bounds, mutation: None, excuses_stand_stills: true, ending: RwLock::default() }
    }

    pub(crate) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Returns the state with a login that two processes have just seen, and whose refresh is due.
    fn begin(&self) -> RefreshState {
        let server = Server::new();
        let secret = Secret { tokens: Some(server.tokens(0)), claim: None };
        let mut stored = Numbers::default();
        stored.insert(0);
        RefreshState {
            secret,
            previous: None,
            stored,
            delayed: None,
            processes: Who::BOTH.map(|who| Process::started((who, 0), secret)),
            server,
            under_way: [None; 2],
            excused: false,
            left: self.bounds,
            breaches: Breaches::default(),
        }
    }

    fn process_events(&self, state: &RefreshState, who: Who, events: &mut Vec<Event>) {
        let process = state.process(who);
        let deliveries = self.deliveries(state, who);
        match process.phase {
            Phase::Idle => {
                if !process.current {
                    events.push(Event::Watches(who));
                }
                if state.left.outdated > 0 && state.previous.is_some() {
                    events.push(Event::WatchesThePast(who));
                }
                if state.left.dues > 0 && !process.due {
                    events.push(Event::BecomesDue(who));
                }
                if self.is_unauthorized(state, who) {
                    events.push(Event::IsUnauthorized(who));
                }
                if self.claims_next(state, who) {
                    events.extend(deliveries.into_iter().map(|delivery| Event::Claims(who, delivery)));
                }
            }
            Phase::Claimed { .. } if self.is_too_late(state, who) => events.push(Event::Hesitates(who)),
            Phase::Claimed { .. } => events.push(Event::Sends(who)),
            Phase::Sending { .. } => {
                let responses = Self::responses(state).into_iter();
                events.extend(responses.map(|response| Event::IsAnswered(who, response)));
            }
            Phase::Granted { .. } => {
                events.extend(deliveries.into_iter().map(|delivery| Event::Persists(who, delivery)));
            }
            Phase::Rejected => events.push(Event::Rereads(who)),
            Phase::Releasing => {
                events.extend(deliveries.into_iter().map(|delivery| Event::Releases(who, delivery)));
            }
            Phase::Dead => return,
        }
        if state.left.crashes > 0 {
            events.push(Event::Crashes { who, outdated: false });
            if state.left.outdated > 0 && state.previous.is_some() {
                events.push(Event::Crashes { who, outdated: true });
            }
        }
    }

    /// Adds the events that happen by themselves.
    fn other_events(state: &RefreshState, events: &mut Vec<Event>) {
        if Self::may_time_pass(state) {
            events.push(Event::ClaimTimePasses);
        }
        if state.server.has_grace() {
            events.push(Event::GraceEnds);
        }
        if state.delayed.is_some() {
            events.push(Event::LateWriteArrives);
        }
        events.extend(state.under_way.into_iter().flatten().map(Event::LateRequestArrives));
    }

    /// Returns the state after `event`.
    pub(crate) fn after(&self, mut state: RefreshState, event: Event) -> RefreshState {
        let now = &mut state;
        match event {
            Event::Watches(who) => self.adopts(now, who),
            Event::WatchesThePast(who) => self.watches_the_past(now, who),
            Event::BecomesDue(who) => {
                now.left.dues -= 1;
                now.process_mut(who).due = true;
            }
            Event::IsUnauthorized(who) => now.process_mut(who).due = true,
            Event::Claims(who, delivery) => self.claims(now, who, delivery),
            Event::Sends(who) => self.sends(now, who),
            Event::Hesitates(who) => now.process_mut(who).phase = Phase::Releasing,
            Event::IsAnswered(who, response) => self.is_answered(now, who, response),
            Event::Persists(who, delivery) => self.persists(now, who, delivery),
            Event::Rereads(who) => self.rereads(now, who),
            Event::Releases(who, delivery) => self.releases(now, who, delivery),
            Event::Crashes { who, outdated } => Self::crashes(now, who, outdated),
            Event::ClaimTimePasses => Self::claim_time_passes(now),
            Event::GraceEnds => now.server.end_grace(),
            Event::LateWriteArrives => Self::late_write_arrives(now),
            Event::LateRequestArrives(token) => self.late_request_arrives(now, token),
            Event::LogsIn | Event::LogsOut | Event::PutsBack(_) | Event::ChangesLabel => {
                Self::is_changed(now, event);
            }
        }
        state
    }
}

impl Model for Machine {
    type State = RefreshState;
    type Action = Event;

    fn init_states(&self) -> Vec<RefreshState> {
        vec![self.begin()]
    }

    fn actions(&self, state: &RefreshState, events: &mut Vec<Event>) {
        for who in Who::BOTH {
            self.process_events(state, who, events);
        }
        Self::other_events(state, events);
        Self::people_events(state, events);
    }

    fn next_state(&self, state: &RefreshState, event: Event) -> Option<RefreshState> {
        Some(self.after(*state, event))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        all()
    }
}
