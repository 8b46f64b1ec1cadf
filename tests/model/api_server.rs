//! The API server: stores a status if it is based on the stored version, and otherwise answers with a conflict. A
//! reply may be lost, and a write may arrive late.
//!
//! It checks nothing else. The operator must not even try what the CRD schema would reject (a final outcome taken
//! back, attempts that go down).

use crate::machine::{Delivery, Machine};
use crate::mutations::Mutation;
use crate::rules::StatusId;
use crate::state::{Delayed, ModelState, Object, Phase, Who, Writing};
use crate::subject::Subject;

/// The reply to a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Stored,
    Conflict,
    Gone,
    Refused,
    Unclear,
}

impl<S: Subject> Machine<S> {
    /// Returns what may happen to a write of `who`.
    pub(crate) fn deliveries(&self, state: &ModelState, who: Who, writing: Writing) -> Vec<Delivery> {
        let mut all = vec![Delivery::Answered];
        if state.left.lost_writes == 0 || state.object.is_none() {
            return all;
        }
        all.push(Delivery::Lost);
        if self.fits(state, who) {
            all.push(Delivery::AnswerLost);
            if state.delayed.is_none() {
                all.push(Delivery::Late);
            }
        }
        if writing == Writing::Outcome {
            all.push(Delivery::Refused);
        }
        all
    }

    /// Returns whether `who` writes on the basis of the stored version.
    fn fits(&self, state: &ModelState, who: Who) -> bool {
        state.operator(who).current || self.is(Mutation::ConflictIsIgnored)
    }

    /// Writes `status` as `who`.
    pub(crate) fn write(
        &self,
        state: &mut ModelState,
        who: Who,
        status: StatusId,
        (writing, delivery): (Writing, Delivery),
    ) -> Reply {
        if delivery != Delivery::Answered {
            state.left.lost_writes -= 1;
        }
        let fits = self.fits(state, who);
        match delivery {
            Delivery::Answered if state.object.is_none() => Reply::Gone,
            Delivery::Answered if !fits => Reply::Conflict,
            Delivery::Answered => {
                self.store(state, who, status, writing);
                self.take(state, who);
                Reply::Stored
            }
            Delivery::AnswerLost => {
                self.store(state, who, status, writing);
                Reply::Unclear
            }
            Delivery::Lost => Reply::Unclear,
            Delivery::Late => {
                state.delayed = Some(Delayed { who, status, writing, old: false });
                Reply::Unclear
            }
            Delivery::Refused => Reply::Refused,
        }
    }

    pub(crate) fn late_write_arrives(&self, state: &mut ModelState) {
        if let Some(Delayed { who, status, writing, old }) = state.delayed {
            self.store(state, who, status, writing);
            state.old = old;
        }
    }

    fn store(&self, state: &mut ModelState, who: Who, status: StatusId, writing: Writing) {
        let Some(before) = state.object else { return };
        let summary = self.rules.summary(status);
        self.judge_write(state, before, status, writing);
        if let (Some((name, attempt)), Some(request)) = (summary.claim, summary.request)
            && name == state.operator(who).name
        {
            state.operator_mut(who).claimed = Some((request, attempt));
        }
        state.object = Some(Object { status, ..before });
        state.old = false;
        state.previous = Some(before);
        Self::changed(state);
    }

    /// Stores a new version: what others know is outdated, and a write based on the old version fails.
    pub(crate) fn changed(state: &mut ModelState) {
        state.delayed = None;
        state.forget_the_past();
        for operator in &mut state.operators {
            operator.current = false;
        }
    }

    /// `who` reads the stored version. The age of a claim, or of a wait, starts when it is first seen.
    pub(crate) fn take(&self, state: &mut ModelState, who: Who) {
        let Some(object) = state.object else { return Self::gone(state, who) };
        let new = self.rules.summary(object.status);
        let outlives = self.is(Mutation::AgeOutlivesItsClaim);
        let operator = state.operator_mut(who);
        let same = operator.view.is_some_and(|old| self.rules.summary(old.status).pause() == new.pause());
        operator.ripe &= same || outlives;
        operator.view = Some(object);
        operator.current = true;
    }

    /// `who` learns that the object is deleted.
    pub(crate) fn gone(state: &mut ModelState, who: Who) {
        let operator = state.operator_mut(who);
        operator.view = None;
        operator.ripe = false;
        operator.phase = Phase::Idle;
    }
}
