//! When faults end, every object ends. From each state, the model follows the one continuation in which nothing goes
//! wrong any more. So progress is checked as a safety property of each state.

use std::hash::{DefaultHasher, Hash, Hasher};

use cde_operator::api::{Outcome, Reason};

use crate::clock::{Glance, Step};
use crate::machine::{Decision, Delivery, Event, Machine};
use crate::rules::Verdict;
use crate::state::{Bounds, ModelState, Phase, Who, Writing};
use crate::subject::{Stand, Subject};

/// More steps than any continuation takes.
const STEPS: usize = 100;

impl<S: Subject> Machine<S> {
    /// Returns whether the object ends with both operators at work, and with either one alone.
    pub(crate) fn ends(&self, state: &ModelState) -> bool {
        let calm = ModelState {
            left: Bounds::NO_FAULTS,
            delayed: None,
            under_way: [None; 2],
            previous: None,
            breaches: crate::properties::Breaches::default(),
            ..*state
        };
        let alone = |who| {
            let mut state = calm;
            self.dies(&mut state, who);
            state.under_way = [None; 2];
            state.operator_mut(who).view = None;
            state
        };
        self.ends_by_itself(calm) && Who::BOTH.into_iter().all(|who| self.ends_by_itself(alone(who)))
    }

    fn ends_by_itself(&self, mut state: ModelState) -> bool {
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
    fn next_without_faults(&self, state: &ModelState) -> Option<Event> {
        if state.connector == Stand::Moving {
            return Some(Event::Settles);
        }
        let acts = Who::BOTH.into_iter().find_map(|who| self.next_without_faults_of(state, who));
        acts.or_else(|| self.may_time_pass(state).then_some(Event::ClaimTimePasses))
    }

    fn next_without_faults_of(&self, state: &ModelState, who: Who) -> Option<Event> {
        let operator = state.operator(who);
        operator.view?;
        match operator.phase {
            Phase::Idle if !operator.current => Some(Event::Watches(who)),
            Phase::Idle | Phase::HasRead(_) => {
                let glance = if operator.ripe { Glance::Ripe } else { Glance::Late };
                let decision = match self.verdict(state, who, glance) {
                    Verdict::Wait if operator.phase == Phase::Idle => return None,
                    Verdict::Wait => Decision::Ends,
                    Verdict::Read if self.reads_without_change(state, who, glance) => return None,
                    Verdict::Read => Decision::Reads(Self::truth(state)),
                    Verdict::Claim(_) => Decision::Writes(Writing::Claim, Delivery::Answered),
                    Verdict::Write(_) => Decision::Writes(Writing::Note, Delivery::Answered),
                };
                Some(Event::Decides(who, glance, decision))
            }
            Phase::Unsure { .. } | Phase::Rewriting { fresh: false, .. } => Some(Event::ReadsBack(who)),
            Phase::Claimed { late: false } => Some(Event::Calls(who)),
            Phase::Claimed { late: true } => Some(Event::Releases(who)),
            Phase::Calling => Some(Event::IsAnswered(who, Self::due_answer(state), Step::None)),
            Phase::Outcome { unconfirmed: true, .. } => Some(Event::Confirms(who, Self::truth(state))),
            Phase::Outcome { unconfirmed: false, .. } => Some(Event::Records(who, Delivery::Answered)),
            Phase::Rewriting { fresh: true, .. } => Some(Event::WritesAgain(who, Delivery::Answered)),
        }
    }

    /// Returns whether a read of the connector would change nothing, so that another event must come first.
    fn reads_without_change(&self, state: &ModelState, who: Who, glance: Glance) -> bool {
        let mut then = *state;
        self.decides(&mut then, who, glance, Decision::Reads(Self::truth(state)));
        let idle = state.operator(who).phase == Phase::Idle;
        idle && self.verdict(&then, who, glance) == Verdict::Wait
    }

    /// Returns whether nothing is left to do: the object is finished or deleted, or a person holds it.
    fn is_settled(&self, state: &ModelState) -> bool {
        let Some(object) = state.object else { return true };
        let summary = self.rules.summary(object.status);
        match summary.outcome {
            Some(Outcome::Succeeded | Outcome::Skipped) => true,
            // Nothing begins for an object that is being deleted.
            _ if object.being_deleted => true,
            Some(Outcome::Failed) => object.retry <= summary.handled,
            Some(Outcome::Unknown) => {
                let confirmed = object.confirm.is_some_and(|(request, _)| summary.request == Some(request));
                object.retry <= summary.handled && !confirmed
            }
            None => object.suspended && summary.reason == Some(Reason::Suspended),
        }
    }
}

fn fingerprint(state: &ModelState) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
