//! The API server: stores a patch if it is based on the stored version, and otherwise answers with a conflict. A reply
//! may be lost, and a patch may arrive late.

use crate::state::Who;

use super::machine::{Delivery, Machine};
use super::mutations::Mutation;
use super::state::{Bounds, RefreshState, Secret};

/// The reply to a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Stored,
    Conflict,
    Unclear,
}

impl Machine {
    /// Returns what may happen to a patch of `who`.
    pub(crate) fn deliveries(&self, state: &RefreshState, who: Who) -> Vec<Delivery> {
        let mut all = vec![Delivery::Answered];
        if state.left.lost_writes > 0 {
            all.push(Delivery::Lost);
            if self.fits(state, who) {
                all.push(Delivery::AnswerLost);
                if state.delayed.is_none() {
                    all.push(Delivery::Late);
                }
            }
        }
        all
    }

    fn fits(&self, state: &RefreshState, who: Who) -> bool {
        state.process(who).current || self.is(Mutation::ConflictIsIgnored)
    }

    /// Patches the Secret as `who`.
    pub(crate) fn patch(
        &self,
        state: &mut RefreshState,
        who: Who,
        secret: Secret,
        delivery: Delivery,
    ) -> Reply {
        if delivery != Delivery::Answered {
            state.left.lost_writes -= 1;
        }
        match delivery {
            Delivery::Answered if !self.fits(state, who) => Reply::Conflict,
            Delivery::Answered => {
                Self::store(state, who, secret);
                let process = state.process_mut(who);
                (process.view, process.current) = (secret, true);
                (process.same_claim, process.ripe) = (true, false);
                Reply::Stored
            }
            Delivery::AnswerLost => {
                Self::store(state, who, secret);
                Reply::Unclear
            }
            Delivery::Lost => Reply::Unclear,
            Delivery::Late => {
                state.delayed = Some((who, secret));
                Reply::Unclear
            }
        }
    }

    pub(crate) fn late_write_arrives(state: &mut RefreshState) {
        if let Some((who, secret)) = state.delayed {
            Self::store(state, who, secret);
        }
    }

    fn store(state: &mut RefreshState, who: Who, secret: Secret) {
        Self::judge_write(state, who, secret);
        Self::change(state, secret);
        // Its own claim is a new one, and another's is kept.
        if secret.claim == Some(state.process(who).name) {
            state.processes.iter_mut().for_each(|process| process.same_claim = false);
        }
    }

    /// Stores a new version: what the processes know is outdated, and a patch based on the old version fails.
    pub(crate) fn change(state: &mut RefreshState, secret: Secret) {
        state.previous = (state.left.outdated > 0).then_some(state.secret);
        state.processes.iter_mut().for_each(|process| process.current = false);
        if let Some(tokens) = secret.tokens {
            state.stored.insert(tokens.access);
        }
        state.secret = secret;
        state.delayed = None;
    }

    /// Returns the previous version, which a process is shown, and forgets it if no other process may be shown it.
    pub(crate) fn shows_the_past(state: &mut RefreshState) -> Option<Secret> {
        state.left.outdated -= 1;
        let past = state.previous;
        if state.left.outdated == 0 {
            state.previous = None;
        }
        past
    }

    /// Returns whether any fault of this kind was used.
    pub(crate) fn used(&self, state: &RefreshState, bound: impl Fn(&Bounds) -> u8) -> bool {
        bound(&state.left) < bound(&self.bounds)
    }
}
