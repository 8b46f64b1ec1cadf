//! The API server: stores a status if it was made for what is stored, or answers with a conflict; an answer may be
//! lost, a write may come late.
//!
//! It checks nothing else: what the schema of the kinds would refuse (a final outcome taken back, attempts that go
//! down) must not even be tried.

use crate::machine::{Delivery, Machine};
use crate::mutations::Mutation;
use crate::rules::StatusId;
use crate::subject::Subject;
use crate::world::{Delayed, Object, Phase, Who, World, Writing};

/// What the writer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Stored,
    Conflict,
    Gone,
    Refused,
    Unclear,
}

impl<S: Subject> Machine<S> {
    /// What may become of a write of `who`.
    pub(crate) fn deliveries(&self, world: &World, who: Who, writing: Writing) -> Vec<Delivery> {
        let mut all = vec![Delivery::Answered];
        if world.left.lost_writes == 0 || world.object.is_none() {
            return all;
        }
        all.push(Delivery::Lost);
        if self.fits(world, who) {
            all.push(Delivery::AnswerLost);
            if world.delayed.is_none() {
                all.push(Delivery::Late);
            }
        }
        if writing == Writing::Outcome {
            all.push(Delivery::Refused);
        }
        all
    }

    /// The version that `who` writes for is the one that is stored.
    fn fits(&self, world: &World, who: Who) -> bool {
        world.operator(who).current || self.is(Mutation::ConflictIsIgnored)
    }

    /// `who` writes `status`.
    pub(crate) fn write(
        &self,
        world: &mut World,
        who: Who,
        status: StatusId,
        (writing, delivery): (Writing, Delivery),
    ) -> Reply {
        if delivery != Delivery::Answered {
            world.left.lost_writes -= 1;
        }
        let fits = self.fits(world, who);
        match delivery {
            Delivery::Answered if world.object.is_none() => Reply::Gone,
            Delivery::Answered if !fits => Reply::Conflict,
            Delivery::Answered => {
                self.store(world, who, status, writing);
                self.take(world, who);
                Reply::Stored
            }
            Delivery::AnswerLost => {
                self.store(world, who, status, writing);
                Reply::Unclear
            }
            Delivery::Lost => Reply::Unclear,
            Delivery::Late => {
                world.delayed = Some(Delayed { who, status, writing, old: false });
                Reply::Unclear
            }
            Delivery::Refused => Reply::Refused,
        }
    }

    pub(crate) fn late_write_arrives(&self, world: &mut World) {
        if let Some(Delayed { who, status, writing, old }) = world.delayed {
            self.store(world, who, status, writing);
            world.old = old;
        }
    }

    fn store(&self, world: &mut World, who: Who, status: StatusId, writing: Writing) {
        let Some(before) = world.object else { return };
        let gist = self.rules.gist(status);
        self.judge_write(world, before, status, writing);
        if let (Some((name, attempt)), Some(request)) = (gist.claim, gist.request)
            && name == world.operator(who).name
        {
            world.operator_mut(who).claimed = Some((request, attempt));
        }
        world.object = Some(Object { status, ..before });
        world.old = false;
        world.previous = Some(before);
        Self::changed(world);
    }

    /// There is a new version: what others know is old, and a write that was made for it fails.
    pub(crate) fn changed(world: &mut World) {
        world.delayed = None;
        world.forget_the_past();
        for operator in &mut world.operators {
            operator.current = false;
        }
    }

    /// `who` takes over what the API server has. The age of a claim, or of a wait, begins when it is first seen.
    pub(crate) fn take(&self, world: &mut World, who: Who) {
        let Some(object) = world.object else { return Self::gone(world, who) };
        let new = self.rules.gist(object.status);
        let outlives = self.is(Mutation::AgeOutlivesItsClaim);
        let operator = world.operator_mut(who);
        let same = operator.view.is_some_and(|old| self.rules.gist(old.status).pause() == new.pause());
        operator.ripe &= same || outlives;
        operator.view = Some(object);
        operator.current = true;
    }

    /// `who` learns that the object is gone.
    pub(crate) fn gone(world: &mut World, who: Who) {
        let operator = world.operator_mut(who);
        operator.view = None;
        operator.ripe = false;
        operator.phase = Phase::Idle;
    }
}
