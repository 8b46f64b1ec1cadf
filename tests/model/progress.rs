//! Where faults end, every object ends: from a moment of the world, the one continuation in which nothing goes wrong
//! any more is followed to its end. So progress is checked as safety, in each state.

use std::hash::{DefaultHasher, Hash, Hasher};

use cde_operator::api::{Outcome, Reason};

use crate::clock::{Glance, Step};
use crate::machine::{Deed, Delivery, Event, Machine};
use crate::rules::Verdict;
use crate::subject::{Stand, Subject};
use crate::world::{Bounds, Phase, Who, World, Writing};

/// More steps than any continuation takes.
const STEPS: usize = 100;

impl<S: Subject> Machine<S> {
    /// The object ends with both operators at work, and with either one alone.
    pub(crate) fn ends(&self, world: &World) -> bool {
        let calm = World {
            left: Bounds::CALM,
            delayed: None,
            under_way: [None; 2],
            previous: None,
            breaches: crate::properties::Breaches::default(),
            ..*world
        };
        let alone = |who| {
            let mut world = calm;
            self.dies(&mut world, who);
            world.under_way = [None; 2];
            world.operator_mut(who).view = None;
            world
        };
        self.ends_by_itself(calm) && Who::BOTH.into_iter().all(|who| self.ends_by_itself(alone(who)))
    }

    fn ends_by_itself(&self, mut world: World) -> bool {
        let mut seen = Vec::new();
        while seen.len() < STEPS {
            let fingerprint = fingerprint(&world);
            if self.ending.read().unwrap().contains(&fingerprint) {
                break;
            }
            seen.push(fingerprint);
            let Some(event) = self.next_calm(&world) else {
                if !self.is_settled(&world) {
                    return false;
                }
                break;
            };
            world = self.after(world, event);
        }
        let ends = seen.len() < STEPS;
        if ends {
            self.ending.write().unwrap().extend(seen);
        }
        ends
    }

    /// What happens next where nothing goes wrong.
    fn next_calm(&self, world: &World) -> Option<Event> {
        if world.connector == Stand::Moving {
            return Some(Event::Settles);
        }
        let acts = Who::BOTH.into_iter().find_map(|who| self.next_calm_of(world, who));
        acts.or_else(|| self.may_time_pass(world).then_some(Event::ClaimTimePasses))
    }

    fn next_calm_of(&self, world: &World, who: Who) -> Option<Event> {
        let operator = world.operator(who);
        operator.view?;
        match operator.phase {
            Phase::Idle if !operator.current => Some(Event::Watches(who)),
            Phase::Idle | Phase::HasRead(_) => {
                let glance = if operator.ripe { Glance::Ripe } else { Glance::Late };
                let deed = match self.verdict(world, who, glance) {
                    Verdict::Wait if operator.phase == Phase::Idle => return None,
                    Verdict::Wait => Deed::Ends,
                    Verdict::Read if self.reads_in_vain(world, who, glance) => return None,
                    Verdict::Read => Deed::Reads(Self::truth(world)),
                    Verdict::Claim(_) => Deed::Writes(Writing::Claim, Delivery::Answered),
                    Verdict::Write(_) => Deed::Writes(Writing::Note, Delivery::Answered),
                };
                Some(Event::Decides(who, glance, deed))
            }
            Phase::Unsure { .. } | Phase::Insisting { fresh: false, .. } => Some(Event::ReadsBack(who)),
            Phase::Claimed { late: false } => Some(Event::Calls(who)),
            Phase::Claimed { late: true } => Some(Event::Releases(who)),
            Phase::Calling => Some(Event::IsAnswered(who, Self::due_answer(world), Step::None)),
            Phase::Outcome { unconfirmed: true, .. } => Some(Event::Confirms(who, Self::truth(world))),
            Phase::Outcome { unconfirmed: false, .. } => Some(Event::Records(who, Delivery::Answered)),
            Phase::Insisting { fresh: true, .. } => Some(Event::WritesAgain(who, Delivery::Answered)),
        }
    }

    /// A look at the connector would change nothing: the next one is for when something else does.
    fn reads_in_vain(&self, world: &World, who: Who, glance: Glance) -> bool {
        let mut then = *world;
        self.decides(&mut then, who, glance, Deed::Reads(Self::truth(world)));
        let idle = world.operator(who).phase == Phase::Idle;
        idle && self.verdict(&then, who, glance) == Verdict::Wait
    }

    /// Nothing is left to do: it is finished, gone, or a person holds it.
    fn is_settled(&self, world: &World) -> bool {
        let Some(object) = world.object else { return true };
        let gist = self.rules.gist(object.status);
        match gist.outcome {
            Some(Outcome::Succeeded | Outcome::Skipped) => true,
            // Nothing is begun for an object that goes.
            _ if object.being_deleted => true,
            Some(Outcome::Failed | Outcome::Unknown) => object.retry <= gist.handled,
            None => object.suspended && gist.reason == Some(Reason::Suspended),
        }
    }
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
