//! The CDE API: what a call does and what is said of it are two things; and time, in which calls end.

use crate::clock::Step;
use crate::machine::{Event, Machine};
use crate::properties::Breach;
use crate::subject::{Stand, Subject};
use crate::world::{Answer, Era, Operator, Phase, Reading, Request, Who, World};

impl<S: Subject> Machine<S> {
    /// How the call of `who` may be answered.
    pub(crate) fn answers(world: &World, who: Who, events: &mut Vec<Event>) {
        let mut add = |answer| events.push(Event::IsAnswered(who, answer, Step::None));
        add(Self::due_answer(world));
        if world.left.faults > 0 {
            let takes = Self::takes_effect(world);
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
            if world.left.clock_steps > 0 {
                for step in [Step::Forward, Step::Back] {
                    events.push(Event::IsAnswered(who, Answer::Silent { effect: false }, step));
                }
            }
        }
    }

    /// The answer where nothing goes wrong.
    pub(crate) fn due_answer(world: &World) -> Answer {
        if Self::takes_effect(world) { Answer::Done } else { Answer::NotFound }
    }

    /// A call that arrives now has an effect.
    fn takes_effect(world: &World) -> bool {
        S::REPEATABLE || world.connector == Stand::Before
    }

    /// The call has the effect that belongs to the answer, and the real rules say what to make of that.
    pub(crate) fn is_answered(&self, world: &mut World, who: Who, answer: Answer, step: Step) {
        world.left.faults -= u8::from(answer != Self::due_answer(world));
        world.left.clock_steps -= u8::from(step != Step::None);
        let operator = world.operator(who);
        let Some(object) = operator.view else { return };
        match answer {
            Answer::Done
            | Answer::Unreadable
            | Answer::Broken { effect: true }
            | Answer::Silent { effect: true } => {
                let request = self.rules.gist(object.status).request.unwrap_or_default();
                Self::effect(world, request);
            }
            Answer::Silent { effect: false } => self.leaves_call(world, who),
            _ => {}
        }
        let status = self.rules.apply_response(object, answer, step);
        let unconfirmed = self.rules.gist(status).refused;
        world.operator_mut(who).phase = Phase::Outcome { status, unconfirmed };
    }

    /// Nobody listens for the call of `who` any more.
    pub(crate) fn leaves_call(&self, world: &mut World, who: Who) {
        let Some(object) = world.operator(who).view else { return };
        let free = world.under_way.iter_mut().find(|call| call.is_none());
        *free.expect("no more calls under way than the model holds") = self.rules.gist(object.status).request;
        world.under_way.sort_unstable();
    }

    /// A call that nobody listens for any more arrives.
    pub(crate) fn late_effect(world: &mut World, request: Request) {
        if let Some(call) = world.under_way.iter_mut().find(|call| **call == Some(request)) {
            *call = None;
            world.under_way.sort_unstable();
        }
        if Self::takes_effect(world) {
            Self::effect(world, request);
        }
    }

    /// A call does what it should, whatever its caller will hear.
    fn effect(world: &mut World, request: Request) {
        let effects = &mut world.effects[usize::from(request)];
        if *effects > 0 && !world.seen_unchanged {
            world.breaches.note(Breach::SecondEffect);
        }
        *effects = 1;
        world.seen_unchanged = false;
        world.connector = if S::REPEATABLE { Stand::Moving } else { Stand::After };
    }

    /// An operator has read the connector.
    pub(crate) fn is_read(world: &mut World, reading: Reading) {
        world.left.faults -= u8::from(matches!(reading, Reading::Failed | Reading::Unauthorized));
        world.left.polls -= u8::from(reading == Reading::Seen(Stand::Moving));
        world.seen_unchanged |= world.meddled && matches!(reading, Reading::Seen(_));
    }

    /// What a read may bring now.
    pub(crate) fn readings(world: &World) -> Vec<Reading> {
        let mut all = vec![Self::truth(world)];
        if world.left.polls == 0 {
            all.retain(|reading| *reading != Reading::Seen(Stand::Moving));
        }
        if world.left.faults > 0 {
            all.extend([Reading::Failed, Reading::Unauthorized]);
        }
        all
    }

    /// What a read brings where nothing goes wrong.
    pub(crate) fn truth(world: &World) -> Reading {
        if world.reading_refused { Reading::Refused } else { Reading::Seen(world.connector) }
    }

    /// What happens by itself.
    pub(crate) fn cde_events(&self, world: &World, events: &mut Vec<Event>) {
        if world.delayed.is_some() {
            events.push(Event::LateWriteArrives);
        }
        let mut calls = world.under_way.into_iter().flatten().collect::<Vec<_>>();
        calls.dedup();
        events.extend(calls.into_iter().map(Event::LateEffect));
        if world.connector == Stand::Moving {
            events.push(Event::Settles);
        }
        if world.left.expiries > 0 && world.era == Era::InTime {
            events.push(Event::Expires);
        }
        if self.may_time_pass(world) {
            events.push(Event::ClaimTimePasses);
        }
    }

    /// A call ends within its claim: while one is under way, its claim's time is not over.
    pub(crate) fn may_time_pass(&self, world: &World) -> bool {
        let calling = world.operators.iter().any(|operator| operator.phase == Phase::Calling);
        let slow = world.operators.iter().any(Operator::is_in_the_middle);
        let mut then = *world;
        self.claim_time_passes(&mut then);
        (!calling || self.calls_outlive_claims) && (!slow || world.left.delays > 0) && then != *world
    }

    /// Calls are over, claims that were not used are too late, and what every process sees is as old as a claim.
    pub(crate) fn claim_time_passes(&self, world: &mut World) {
        if !self.calls_outlive_claims {
            world.under_way = [None; 2];
        }
        if world.operators.iter().any(Operator::is_in_the_middle) {
            world.left.delays = world.left.delays.saturating_sub(1);
        }
        if let Some(delayed) = &mut world.delayed {
            delayed.old = true;
        }
        world.old = world.object.is_some_and(|object| self.rules.gist(object.status).claim.is_some());
        for operator in &mut world.operators {
            let gist = operator.view.map(|object| self.rules.gist(object.status));
            operator.ripe = gist.is_some_and(|gist| gist.claim.is_some() || gist.waits);
            if let Phase::Unsure { late, .. } | Phase::Claimed { late } = &mut operator.phase {
                *late = true;
            }
        }
    }
}
