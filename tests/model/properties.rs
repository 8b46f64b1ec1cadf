//! What must hold in every state, and what a write or a call must never do.

use cde_operator::api::{Evidence, Outcome, Reason};
use stateright::Property;

use crate::machine::Machine;
use crate::rules::StatusId;
use crate::state::{ModelState, Object, Writing};
use crate::subject::{Stand, Subject};

/// A rule that an event broke.
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
pub(crate) const SUCCESS_RESTS: &str =
    "a success is based on an effect of the request, or on one that was seen";
pub(crate) const FINAL_STAYS: &str = "Succeeded and Skipped stay forever";
pub(crate) const FINISHED_STAYS: &str = "Failed and Unknown stay until a later retry or a confirmation";
pub(crate) const ATTEMPTS_GROW: &str = "within one request the attempts never go down";
pub(crate) const CALLS_ARE_CLAIMED: &str = "no call goes out without a stored claim that names it";
pub(crate) const FAILED_IS_TRUE: &str = "Failed means that the request had no effect";
pub(crate) const RETRIES_COUNT: &str = "a record consumes no retry";
pub(crate) const OUTCOMES_ARE_KEPT: &str = "no reconciliation ends with an outcome that is not recorded";
pub(crate) const ONE_VERSION: &str = "the attempts of one request are for one version";
pub(crate) const CLAIMS_ARE_SHOWN: &str = "InProgress means that a claim is stored, and the other way around";
pub(crate) const ALL_ENDS: &str = "when faults end, every object ends or waits for a person";

/// Returns all properties: those that always hold, and those that show that the model makes progress.
pub(crate) fn all<S: Subject>() -> Vec<Property<Machine<S>>> {
    vec![
        Property::always(ONE_EFFECT, |_, state: &ModelState| state.breaches.lacks(Breach::SecondEffect)),
        Property::always(SUCCESS_RESTS, |_, state: &ModelState| {
            state.breaches.lacks(Breach::SuccessWithoutEffect)
        }),
        Property::always(FINAL_STAYS, |_, state: &ModelState| state.breaches.lacks(Breach::FinalTakenBack)),
        Property::always(FINISHED_STAYS, |_, state: &ModelState| state.breaches.lacks(Breach::OpenedUnasked)),
        Property::always(ATTEMPTS_GROW, |_, state: &ModelState| {
            state.breaches.lacks(Breach::AttemptsWentDown)
        }),
        Property::always(CALLS_ARE_CLAIMED, |_, state: &ModelState| {
            state.breaches.lacks(Breach::CallWithoutClaim)
        }),
        Property::always(FAILED_IS_TRUE, Machine::failed_is_true),
        Property::always(RETRIES_COUNT, |_, state: &ModelState| state.breaches.lacks(Breach::WishSwallowed)),
        Property::always(OUTCOMES_ARE_KEPT, |_, state: &ModelState| {
            state.breaches.lacks(Breach::OutcomeDropped)
        }),
        Property::always(ONE_VERSION, |_, state: &ModelState| state.breaches.lacks(Breach::AnotherVersion)),
        Property::always(CLAIMS_ARE_SHOWN, Machine::claims_are_shown),
        Property::always(ALL_ENDS, Machine::ends),
    ]
}

impl<S: Subject> Machine<S> {
    fn claims_are_shown(&self, state: &ModelState) -> bool {
        let Some(object) = state.object else { return true };
        let summary = self.rules.summary(object.status);
        summary.claim.is_some() == (summary.reason == Some(Reason::InProgress))
    }

    fn failed_is_true(&self, state: &ModelState) -> bool {
        let Some(object) = state.object else { return true };
        let summary = self.rules.summary(object.status);
        let effects = summary.request.map_or(0, |request| state.effects[usize::from(request)]);
        summary.outcome != Some(Outcome::Failed) || effects == 0 || state.meddled
    }

    /// Judges the write of `status` over `before`.
    pub(crate) fn judge_write(
        &self,
        state: &mut ModelState,
        before: Object,
        status: StatusId,
        writing: Writing,
    ) {
        let (old, new) = (self.rules.summary(before.status), self.rules.summary(status));
        let same = old.request == new.request;
        let mut judge = |holds: bool, breach| {
            if !holds {
                state.breaches.note(breach);
            }
        };
        match old.outcome {
            None => {}
            Some(outcome) if outcome.is_final() => {
                judge(same && new.outcome == old.outcome, Breach::FinalTakenBack);
            }
            Some(outcome) => {
                let asked = before.retry > old.handled && !same;
                let confirmed = outcome == Outcome::Unknown
                    && before.confirm.is_some_and(|(request, succeeded)| {
                        let expected = if succeeded { Outcome::Succeeded } else { Outcome::Failed };
                        old.request == Some(request) && new.outcome == Some(expected)
                    });
                judge(asked || (same && (confirmed || new.outcome == old.outcome)), Breach::OpenedUnasked);
            }
        }
        judge(!same || new.attempts >= old.attempts, Breach::AttemptsWentDown);
        judge(writing != Writing::Outcome || new.handled == old.handled, Breach::WishSwallowed);
        if new.outcome == Some(Outcome::Succeeded) && old.outcome != new.outcome {
            let own = new.request.is_some_and(|request| state.effects[usize::from(request)] > 0);
            // For a restore it does not matter whose effect is seen.
            let seen = state.meddled || (!S::REPEATABLE && state.connector == Stand::After);
            let observed = new.evidence != Some(Evidence::Response) && seen;
            if !own && !observed {
                state.breaches.note(Breach::SuccessWithoutEffect);
            }
        }
    }
}
