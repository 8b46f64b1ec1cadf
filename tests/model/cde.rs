//! The CDE API, where the effect of a call and its response are separate, and the time in which calls end.

use crate::clock::Step;
use crate::machine::{Event, Machine};
use crate::properties::Breach;
use crate::state::{Answer, Era, ModelState, Operator, Phase, Reading, Request, Who};
use crate::subject::{Stand, Subject};

impl<S: Subject> Machine<S> {
    /// Adds the possible responses to the call of `who`.
    pub(crate) fn answers(state: &ModelState, who: Who, events: &mut Vec<Event>) {
        let mut add = |answer| events.push(Event::IsAnswered(who, answer, Step::None));
        add(Self::due_answer(state));
        if state.left.faults > 0 {
            let takes = Self::takes_effect(state);
            let faults = [
                Answer::Locked,
                Answer::OperationNotAllowed,
                Answer::Unauthorized { replaced: false },
                Answer::Unauthorized { replaced: true },
                Answer::Broken { effect: false },
                Answer::Silent { effect: false },
            ];
            faults.into_iter().for_each(&mut add);
            if takes {
                [Answer::Unreadable, Answer::Broken { effect: true }, Answer::Silent { effect: true }]
                    .into_iter()
                    .for_each(&mut add);
            }
            if !S::REPEATABLE && takes {
                add(Answer::NotFound);
            }
            if state.left.clock_steps > 0 {
                for step in [Step::Forward, Step::Back] {
                    events.push(Event::IsAnswered(who, Answer::Silent { effect: false }, step));
                }
            }
        }
    }

    /// Returns the response if nothing goes wrong.
    pub(crate) fn due_answer(state: &ModelState) -> Answer {
        if Self::takes_effect(state) { Answer::Done } else { Answer::NotFound }
    }

    /// Returns whether a call that arrives now has an effect.
    fn takes_effect(state: &ModelState) -> bool {
        S::REPEATABLE || state.connector == Stand::Before
    }

    /// Applies the effect that belongs to the response, and the real rules apply the response.
    pub(crate) fn is_answered(&self, state: &mut ModelState, who: Who, answer: Answer, step: Step) {
        state.left.faults -= u8::from(answer != Self::due_answer(state));
        state.left.clock_steps -= u8::from(step != Step::None);
        let operator = state.operator(who);
        let Some(object) = operator.view else { return };
        match answer {
            Answer::Done
            | Answer::Unreadable
            | Answer::Broken { effect: true }
            | Answer::Silent { effect: true } => {
                let request = self.rules.summary(object.status).request.unwrap_or_default();
                Self::effect(state, request);
            }
            Answer::Silent { effect: false } => self.leaves_call(state, who),
            _ => {}
        }
        let status = self.rules.apply_response(object, answer, step);
        let unconfirmed = self.rules.summary(status).refused;
        state.operator_mut(who).phase = Phase::Outcome { status, unconfirmed };
    }

    /// Abandons the call of `who`, which stays under way.
    pub(crate) fn leaves_call(&self, state: &mut ModelState, who: Who) {
        let Some(object) = state.operator(who).view else { return };
        let free = state.under_way.iter_mut().find(|call| call.is_none());
        *free.expect("no more calls under way than the model holds") =
            self.rules.summary(object.status).request;
        state.under_way.sort_unstable();
    }

    /// Lets an abandoned call arrive.
    pub(crate) fn late_effect(state: &mut ModelState, request: Request) {
        if let Some(call) = state.under_way.iter_mut().find(|call| **call == Some(request)) {
            *call = None;
            state.under_way.sort_unstable();
        }
        if Self::takes_effect(state) {
            Self::effect(state, request);
        }
    }

    /// Applies the effect of a call, whatever its response.
    fn effect(state: &mut ModelState, request: Request) {
        let effects = &mut state.effects[usize::from(request)];
        if *effects > 0 && !state.seen_unchanged {
            state.breaches.note(Breach::SecondEffect);
        }
        *effects = 1;
        state.seen_unchanged = false;
        state.connector = if S::REPEATABLE { Stand::Moving } else { Stand::After };
    }

    /// Records that an operator has read the connector.
    pub(crate) fn is_read(state: &mut ModelState, reading: Reading) {
        state.left.faults -= u8::from(matches!(reading, Reading::Failed | Reading::Unauthorized));
        state.left.polls -= u8::from(reading == Reading::Seen(Stand::Moving));
        state.seen_unchanged |= state.meddled && matches!(reading, Reading::Seen(_));
    }

    /// Returns the possible results of a read now.
    pub(crate) fn readings(state: &ModelState) -> Vec<Reading> {
        let mut all = vec![Self::truth(state)];
        if state.left.polls == 0 {
            all.retain(|reading| *reading != Reading::Seen(Stand::Moving));
        }
        if state.left.faults > 0 {
            all.extend([Reading::Failed, Reading::Unauthorized]);
        }
        all
    }

    /// Returns the result of a read if nothing goes wrong.
    pub(crate) fn truth(state: &ModelState) -> Reading {
        if state.reading_refused { Reading::Refused } else { Reading::Seen(state.connector) }
    }

    /// Adds the events that happen by themselves.
    pub(crate) fn cde_events(&self, state: &ModelState, events: &mut Vec<Event>) {
        if state.delayed.is_some() {
            events.push(Event::LateWriteArrives);
        }
        let mut calls = state.under_way.into_iter().flatten().collect::<Vec<_>>();
        calls.dedup();
        events.extend(calls.into_iter().map(Event::LateEffect));
        if state.connector == Stand::Moving {
            events.push(Event::Settles);
        }
        if state.left.expiries > 0 && state.era == Era::InTime {
            events.push(Event::Expires);
        }
        if self.may_time_pass(state) {
            events.push(Event::ClaimTimePasses);
        }
    }

    /// Returns whether time may pass: a call ends within its claim, so its claim cannot run out while it is under way.
    pub(crate) fn may_time_pass(&self, state: &ModelState) -> bool {
        let calling = state.operators.iter().any(|operator| operator.phase == Phase::Calling);
        let slow = state.operators.iter().any(Operator::is_in_the_middle);
        let mut then = *state;
        self.claim_time_passes(&mut then);
        (!calling || self.calls_outlive_claims) && (!slow || state.left.delays > 0) && then != *state
    }

    /// Ends all calls and unused claims, and makes everything that a process sees as old as a claim.
    pub(crate) fn claim_time_passes(&self, state: &mut ModelState) {
        if !self.calls_outlive_claims {
            state.under_way = [None; 2];
        }
        if state.operators.iter().any(Operator::is_in_the_middle) {
            state.left.delays = state.left.delays.saturating_sub(1);
        }
        if let Some(delayed) = &mut state.delayed {
            delayed.old = true;
        }
        state.old = state.object.is_some_and(|object| self.rules.summary(object.status).claim.is_some());
        for operator in &mut state.operators {
            let summary = operator.view.map(|object| self.rules.summary(object.status));
            operator.ripe = summary.is_some_and(|summary| summary.claim.is_some() || summary.waits);
            if let Phase::Unsure { late, .. } | Phase::Claimed { late } = &mut operator.phase {
                *late = true;
            }
        }
    }
}
