//! When faults end, every process ends with a usable token or reports `LoginRequired`. From each state, the model follows
//! the one continuation in which nothing goes wrong any more, so progress is checked as a safety property.

use std::hash::{DefaultHasher, Hash, Hasher};

use cde_operator::credential::protocol::Next;

use crate::state::Who;

use super::machine::{Delivery, Event, Machine, Response};
use super::properties::Breaches;
use super::state::{Bounds, Numbers, Phase, Process, RefreshState};

/// More steps than any continuation takes.
const STEPS: usize = 100;

impl Machine {
    /// Returns whether both processes end well together, and either one alone.
    pub(crate) fn ends(&self, state: &RefreshState) -> bool {
        let mut calm = RefreshState {
            left: Bounds::NOTHING,
            delayed: None,
            under_way: [None; 2],
            previous: None,
            stored: Numbers::default(),
            excused: true,
            breaches: Breaches::default(),
            ..*state
        };
        calm.server.end_grace();
        for process in &mut calm.processes {
            (process.knows, process.overslept) = (Numbers::default(), false);
        }
        let alone = |who| {
            let mut state = calm;
            Self::dies(&mut state, who);
            state.under_way = [None; 2];
            state
        };
        self.ends_by_itself(calm) && Who::BOTH.into_iter().all(|who| self.ends_by_itself(alone(who)))
    }

    fn ends_by_itself(&self, mut state: RefreshState) -> bool {
        let mut seen = Vec::new();
        while seen.len() < STEPS {
            let fingerprint = fingerprint(&state);
            if self.ending.read().unwrap().contains(&fingerprint) {
                break;
            }
            seen.push(fingerprint);
            let Some(event) = self.next_without_faults(&state) else {
                if !self.is_settled(&state) {
                    return false;
                }
                break;
            };
            state = self.after(state, event);
        }
        let ends = seen.len() < STEPS;
        if ends {
            self.ending.write().unwrap().extend(seen);
        }
        ends
    }

    /// Returns the next event if nothing goes wrong.
    fn next_without_faults(&self, state: &RefreshState) -> Option<Event> {
        let acts = Who::BOTH.into_iter().find_map(|who| self.next_without_faults_of(state, who));
        acts.or_else(|| Self::may_time_pass(state).then_some(Event::ClaimTimePasses))
    }

    fn next_without_faults_of(&self, state: &RefreshState, who: Who) -> Option<Event> {
        let process = state.process(who);
        match process.phase {
            Phase::Idle if !process.current => Some(Event::Watches(who)),
            // Sooner or later the access token expires, or a refresh is due.
            Phase::Idle if !process.due && !self.is_usable(state, process) => {
                Some(Event::IsUnauthorized(who))
            }
            Phase::Idle => self.claims_next(state, who).then_some(Event::Claims(who, Delivery::Answered)),
            Phase::Claimed { .. } if self.is_too_late(state, who) => Some(Event::Hesitates(who)),
            Phase::Claimed { .. } => Some(Event::Sends(who)),
            Phase::Sending { .. } => Some(Event::IsAnswered(who, Response::Usual)),
            Phase::Granted { .. } => Some(Event::Persists(who, Delivery::Answered)),
            Phase::Rejected => Some(Event::Rereads(who)),
            Phase::Releasing => Some(Event::Releases(who, Delivery::Answered)),
            Phase::Dead => None,
        }
    }

    /// Returns whether every process has a token that works and can be refreshed, or knows that a person must log in.
    fn is_settled(&self, state: &RefreshState) -> bool {
        state.processes.iter().all(|process| match process.phase {
            Phase::Dead => true,
            Phase::Idle => self.next(process) == Next::LoginRequired || self.is_usable(state, process),
            _ => false,
        })
    }

    fn is_usable(&self, state: &RefreshState, process: &Process) -> bool {
        let is_accepted = process.using.is_some_and(|access| state.server.accepts(self.kind, access));
        let is_refreshed = state.secret.tokens.is_some_and(|tokens| state.server.is_live(tokens.refresh));
        is_accepted && is_refreshed
    }
}

fn fingerprint(state: &RefreshState) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
