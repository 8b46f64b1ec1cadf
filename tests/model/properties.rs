//! What must hold in every moment of the world, and what a write or a call must never do.

use cde_operator::api::{Evidence, Outcome};
use stateright::Property;

use crate::machine::Machine;
use crate::rules::StatusId;
use crate::subject::{Stand, Subject};
use crate::world::{Object, World, Writing};

/// A rule broken by something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Breach {
    SecondEffect = 1,
    SuccessWithoutEffect = 2,
    FinalTakenBack = 4,
    OpenedUnasked = 8,
    AttemptsWentDown = 16,
    CallWithoutClaim = 32,
    WishSwallowed = 64,
    OutcomeDropped = 128,
    AnotherVersion = 256,
}

/// All rules broken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Breaches(u16);

impl Breaches {
    pub(crate) fn note(&mut self, breach: Breach) {
        self.0 |= breach as u16;
    }

    fn lacks(self, breach: Breach) -> bool {
        self.0 & breach as u16 == 0
    }
}

pub(crate) const ONE_EFFECT: &str = "no request has a second effect, unless the connector was seen unchanged";
pub(crate) const SUCCESS_RESTS: &str = "a success rests on an effect of the request, or on one that was seen";
pub(crate) const FINAL_STAYS: &str = "Succeeded and Skipped stay for ever";
pub(crate) const FINISHED_STAYS: &str = "Failed and Unknown stay until a later retry is asked for";
pub(crate) const ATTEMPTS_GROW: &str = "within one request the attempts never go down";
pub(crate) const CALLS_ARE_CLAIMED: &str = "no call goes out without a stored claim that names it";
pub(crate) const FAILED_IS_TRUE: &str = "Failed never stands where the request had an effect";
pub(crate) const WISHES_COUNT: &str = "a record consumes no wish for a retry";
pub(crate) const OUTCOMES_ARE_KEPT: &str = "no pass ends with an outcome that is not recorded";
pub(crate) const ONE_VERSION: &str = "the attempts of one request are for one version";
pub(crate) const ALL_ENDS: &str = "where faults end, every object ends or waits for a person";

/// All properties: those that always hold, and those that show that the model gets anywhere.
pub(crate) fn all<S: Subject>() -> Vec<Property<Machine<S>>> {
    vec![
        Property::always(ONE_EFFECT, |_, world: &World| world.breaches.lacks(Breach::SecondEffect)),
        Property::always(SUCCESS_RESTS, |_, world: &World| {
            world.breaches.lacks(Breach::SuccessWithoutEffect)
        }),
        Property::always(FINAL_STAYS, |_, world: &World| world.breaches.lacks(Breach::FinalTakenBack)),
        Property::always(FINISHED_STAYS, |_, world: &World| world.breaches.lacks(Breach::OpenedUnasked)),
        Property::always(ATTEMPTS_GROW, |_, world: &World| world.breaches.lacks(Breach::AttemptsWentDown)),
        Property::always(CALLS_ARE_CLAIMED, |_, world: &World| {
            world.breaches.lacks(Breach::CallWithoutClaim)
        }),
        Property::always(FAILED_IS_TRUE, Machine::failed_is_true),
        Property::always(WISHES_COUNT, |_, world: &World| world.breaches.lacks(Breach::WishSwallowed)),
        Property::always(OUTCOMES_ARE_KEPT, |_, world: &World| world.breaches.lacks(Breach::OutcomeDropped)),
        Property::always(ONE_VERSION, |_, world: &World| world.breaches.lacks(Breach::AnotherVersion)),
        Property::always(ALL_ENDS, Machine::ends),
    ]
}

impl<S: Subject> Machine<S> {
    fn failed_is_true(&self, world: &World) -> bool {
        let Some(object) = world.object else { return true };
        let gist = self.rules.gist(object.status);
        let effects = gist.request.map_or(0, |request| world.effects[usize::from(request)]);
        gist.outcome != Some(Outcome::Failed) || effects == 0 || world.meddled
    }

    /// Judges the write of `status` over `before`.
    pub(crate) fn judge_write(&self, world: &mut World, before: Object, status: StatusId, writing: Writing) {
        let (old, new) = (self.rules.gist(before.status), self.rules.gist(status));
        let same = old.request == new.request;
        let mut judge = |holds: bool, breach| {
            if !holds {
                world.breaches.note(breach);
            }
        };
        match old.outcome {
            None => {}
            Some(outcome) if outcome.is_final() => {
                judge(same && new.outcome == old.outcome, Breach::FinalTakenBack);
            }
            Some(_) => {
                let asked = before.retry > old.handled && !same;
                judge(asked || (same && new.outcome == old.outcome), Breach::OpenedUnasked);
            }
        }
        judge(!same || new.attempts >= old.attempts, Breach::AttemptsWentDown);
        judge(writing != Writing::Outcome || new.handled == old.handled, Breach::WishSwallowed);
        if new.outcome == Some(Outcome::Succeeded) && old.outcome != new.outcome {
            let own = new.request.is_some_and(|request| world.effects[usize::from(request)] > 0);
            // Of a restore it does not matter whose effect is seen.
            let seen = world.meddled || (!S::REPEATABLE && world.connector == Stand::After);
            let observed = new.evidence != Some(Evidence::Response) && seen;
            if !own && !observed {
                world.breaches.note(Breach::SuccessWithoutEffect);
            }
        }
    }
}
