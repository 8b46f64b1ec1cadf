//! The operator's shell, step by step: what it may do in each phase, and what follows. The rules are the real ones.
//! The protocol around them follows the shell's files `reconcile`, `claim`, `act` and `record`.

use cde_operator::operation::Release;

use crate::api_server::Reply;
use crate::clock::Glance;
use crate::machine::{Decision, Delivery, Event, Machine, Restart};
use crate::mutations::Mutation;
use crate::properties::Breach;
use crate::rules::{Question, StatusId, Verdict};
use crate::state::{ModelState, Object, Operator, Phase, Reading, Who, Writing};
use crate::subject::Subject;

impl<S: Subject> Machine<S> {
    /// Adds what an operator may do, and what may happen to it.
    pub(crate) fn operator_events(&self, state: &ModelState, who: Who, events: &mut Vec<Event>) {
        let operator = state.operator(who);
        if operator.view.is_none() {
            return;
        }
        match operator.phase {
            Phase::Idle | Phase::HasRead(_) => {
                if operator.phase == Phase::Idle && !operator.current {
                    events.push(Event::Watches(who));
                }
                self.decisions(state, who, events);
            }
            Phase::Unsure { .. } => {
                events.push(Event::ReadsBack(who));
                if state.left.lost_writes > 0 {
                    events.push(Event::ReadsBackInVain(who));
                }
            }
            Phase::Claimed { late } => {
                if !late || self.is(Mutation::LateClaimActs) {
                    events.push(Event::Calls(who));
                }
                if late || state.left.delays > 0 {
                    events.push(Event::Releases(who));
                }
                if state.left.delays > 0 {
                    events.push(Event::Hesitates(who));
                }
            }
            Phase::Calling => Self::answers(state, who, events),
            Phase::Outcome { unconfirmed, .. } => {
                if unconfirmed {
                    let readings = Self::readings(state).into_iter();
                    events.extend(readings.map(|reading| Event::Confirms(who, reading)));
                }
                let deliveries = self.deliveries(state, who, Writing::Outcome);
                events.extend(deliveries.into_iter().map(|delivery| Event::Records(who, delivery)));
            }
            Phase::Rewriting { fresh: false, .. } => events.push(Event::ReadsBack(who)),
            Phase::Rewriting { fresh: true, .. } => {
                let deliveries = self.deliveries(state, who, Writing::Outcome);
                events.extend(deliveries.into_iter().map(|delivery| Event::WritesAgain(who, delivery)));
            }
        }
        if state.left.crashes > 0 {
            events.extend([Restart::SameName, Restart::NewName].map(|restart| Event::Crashes(who, restart)));
            if state.previous.is_some() {
                events.push(Event::Crashes(who, Restart::ShownThePast));
            }
        }
    }

    /// Adds the possible decisions of the rules for each state of the clocks, and their possible results.
    fn decisions(&self, state: &ModelState, who: Who, events: &mut Vec<Event>) {
        let operator = state.operator(who);
        let glances = if operator.ripe {
            [Glance::Late, Glance::Ripe, Glance::RipeAndHeld]
        } else {
            [Glance::Early, Glance::Late, Glance::LateAndHeld]
        };
        let mut known = Vec::new();
        for glance in glances {
            let verdict = self.verdict(state, who, glance);
            if known.contains(&verdict) || (glance.held() && state.left.pauses == 0) {
                continue;
            }
            known.push(verdict);
            let mut add = |decision| events.push(Event::Decides(who, glance, decision));
            let writing = if matches!(verdict, Verdict::Claim(_)) { Writing::Claim } else { Writing::Note };
            match verdict {
                Verdict::Wait if operator.phase == Phase::Idle => {}
                Verdict::Wait => add(Decision::Ends),
                Verdict::Read => {
                    for reading in Self::readings(state) {
                        add(Decision::Reads(reading));
                    }
                }
                Verdict::Write(_) | Verdict::Claim(_) => {
                    let deliveries = self.deliveries(state, who, writing);
                    for delivery in deliveries {
                        add(Decision::Writes(writing, delivery));
                    }
                }
            }
        }
    }

    /// Returns the decision of the real rules for this operator now.
    pub(crate) fn verdict(&self, state: &ModelState, who: Who, glance: Glance) -> Verdict {
        let Operator { name, view, phase, unsent, .. } = *state.operator(who);
        let Some(object) = view else { return Verdict::Wait };
        let stored = self.rules.summary(object.status);
        let known = unsent.map(|claim| self.rules.summary(claim));
        let is_known =
            known.is_some_and(|claim| (claim.request, claim.claim) == (stored.request, stored.claim));
        let claim_unsent = stored.claim.is_some() && (is_known || self.is(Mutation::AnyClaimCountsAsUnsent));
        self.rules.decide(&Question {
            object,
            era: state.era,
            main: state.main,
            me: name,
            glance,
            reading: if let Phase::HasRead(reading) = phase { Some(reading) } else { None },
            claim_unsent,
        })
    }

    /// Carries out the decision.
    pub(crate) fn decides(&self, state: &mut ModelState, who: Who, glance: Glance, decision: Decision) {
        let verdict = self.verdict(state, who, glance);
        state.left.pauses -= u8::from(glance.held());
        match (decision, verdict) {
            (Decision::Reads(reading), _) => {
                Self::is_read(state, reading);
                state.operator_mut(who).phase = Phase::HasRead(reading);
            }
            (Decision::Writes(_, delivery), Verdict::Write(status)) => {
                self.notes(state, who, status, delivery);
            }
            (Decision::Writes(_, delivery), Verdict::Claim(status)) => {
                self.claims(state, who, status, delivery);
            }
            _ => state.operator_mut(who).phase = Phase::Idle,
        }
    }

    /// Stores what the operator waits for, or the result of a read.
    fn notes(&self, state: &mut ModelState, who: Who, status: StatusId, delivery: Delivery) {
        let phase = state.operator(who).phase;
        let reply = self.write(state, who, status, (Writing::Note, delivery));
        let operator = state.operator_mut(who);
        operator.phase = Phase::Idle;
        match reply {
            Reply::Conflict => {
                if self.is(Mutation::ReadingOutlivesItsObject) {
                    operator.phase = phase;
                }
                self.take(state, who);
            }
            Reply::Gone => Self::gone(state, who),
            // An end is kept until it is stored. A wait is decided again.
            Reply::Refused if self.rules.summary(status).outcome.is_some() => {
                let status = self.rules.strip_result(status);
                state.operator_mut(who).phase = Phase::Rewriting { status, fresh: false };
            }
            Reply::Unclear if self.rules.summary(status).outcome.is_some() => {
                state.operator_mut(who).phase = Phase::Rewriting { status, fresh: false };
            }
            Reply::Stored | Reply::Unclear | Reply::Refused => {}
        }
    }

    /// Stores a claim: accepted, rejected, or unclear.
    fn claims(&self, state: &mut ModelState, who: Who, status: StatusId, delivery: Delivery) {
        let pretend = |state: &mut ModelState| {
            let operator = state.operator_mut(who);
            operator.view = operator.view.map(|view| Object { status, ..view });
            operator.phase = Phase::Claimed { late: false };
        };
        if self.is(Mutation::ClaimIsSkipped) {
            return pretend(state);
        }
        let reading = state.operator(who).phase;
        state.operator_mut(who).unsent = Some(status);
        match self.write(state, who, status, (Writing::Claim, delivery)) {
            Reply::Stored => state.operator_mut(who).phase = Phase::Claimed { late: false },
            Reply::Conflict => {
                self.confirm(state, who, status, false);
                let idle = state.operator(who).phase == Phase::Idle && state.object.is_some();
                if idle && self.is(Mutation::ReadingOutlivesItsObject) {
                    state.operator_mut(who).phase = reading;
                }
            }
            Reply::Gone => Self::gone(state, who),
            Reply::Unclear | Reply::Refused if self.is(Mutation::ClaimIsNotConfirmed) => pretend(state),
            Reply::Unclear | Reply::Refused => {
                state.operator_mut(who).phase = Phase::Unsure { claim: status, late: false };
            }
        }
    }

    /// Reads the object again: either the stored claim is this very one, or everything is dropped.
    fn confirm(&self, state: &mut ModelState, who: Who, claim: StatusId, late: bool) {
        self.take(state, who);
        let old = state.old;
        let operator = state.operator_mut(who);
        let stored = operator.view.map(|object| self.rules.summary(object.status).operation);
        let stands = stored == Some(self.rules.summary(claim).operation) && (late || !old);
        operator.phase = if stands { Phase::Claimed { late } } else { Phase::Idle };
    }

    /// Reads the object, which is always current.
    pub(crate) fn reads_back(&self, state: &mut ModelState, who: Who) {
        match state.operator(who).phase {
            Phase::Unsure { claim, late } => self.confirm(state, who, claim, late),
            Phase::Rewriting { status, .. } => self.rewrites(state, who, status),
            _ => {}
        }
    }

    /// Sends the call on the claim in the present object.
    pub(crate) fn calls(&self, state: &mut ModelState, who: Who) {
        let operator = state.operator_mut(who);
        let Some(object) = operator.view else { return };
        operator.unsent = None;
        let summary = self.rules.summary(object.status);
        let claim = summary.claim.and_then(|(_, attempt)| Some((summary.request?, attempt)));
        let unclaimed = claim.is_none() || claim != operator.claimed;
        operator.phase = Phase::Calling;
        if unclaimed {
            state.breaches.note(Breach::CallWithoutClaim);
        }
        if let (Some((request, _)), Some(major)) = (claim, self.rules.called(object)) {
            let first = *state.called[usize::from(request)].get_or_insert(major);
            if first != major {
                state.breaches.note(Breach::AnotherVersion);
            }
        }
    }

    /// Releases the unused claim.
    pub(crate) fn releases(&self, state: &mut ModelState, who: Who) {
        let operator = state.operator_mut(who);
        let in_time = operator.phase == Phase::Claimed { late: false };
        let Some(object) = operator.view else { return };
        let why = if in_time { Release::Stopping } else { Release::TooLate };
        let status = self.rules.release(object, why);
        operator.phase = Phase::Outcome { status, unconfirmed: false };
        state.left.delays -= u8::from(in_time);
    }

    /// Keeps the unused claim, and decides about the object again.
    pub(crate) fn keeps_claim(state: &mut ModelState, who: Who) {
        state.operator_mut(who).phase = Phase::Idle;
        state.left.delays -= 1;
    }

    /// Reads the connector to confirm a refusal.
    pub(crate) fn confirms(&self, state: &mut ModelState, who: Who, reading: Reading) {
        Self::is_read(state, reading);
        let Operator { view, phase, .. } = *state.operator(who);
        let (Some(object), Phase::Outcome { status, .. }) = (view, phase) else { return };
        let status = self.rules.confirm(object, status, reading, state.main).unwrap_or(status);
        state.operator_mut(who).phase = Phase::Outcome { status, unconfirmed: false };
    }

    /// Writes the record for the first time.
    pub(crate) fn records_now(&self, state: &mut ModelState, who: Who, delivery: Delivery) {
        if let Phase::Outcome { status, .. } = state.operator(who).phase {
            self.records(state, who, status, delivery);
        }
    }

    /// Stores the outcome of a call, or starts to repeat the write.
    fn records(&self, state: &mut ModelState, who: Who, mut status: StatusId, delivery: Delivery) {
        if let (true, Some(view)) = (self.is(Mutation::RecordConsumesRetry), state.object) {
            status = self.rules.handling(status, view.retry);
        }
        match self.write(state, who, status, (Writing::Outcome, delivery)) {
            Reply::Stored => state.operator_mut(who).phase = Phase::Idle,
            Reply::Gone => Self::gone(state, who),
            Reply::Refused => {
                let status = self.rules.strip_result(status);
                state.operator_mut(who).phase = Phase::Rewriting { status, fresh: false };
            }
            Reply::Unclear if self.is(Mutation::LostOutcomeReleases) => self.releases(state, who),
            Reply::Conflict | Reply::Unclear => {
                state.operator_mut(who).phase = Phase::Rewriting { status, fresh: false };
            }
        }
    }

    pub(crate) fn writes_again(&self, state: &mut ModelState, who: Who, delivery: Delivery) {
        if let Phase::Rewriting { status, .. } = state.operator(who).phase {
            self.records(state, who, status, delivery);
        }
    }

    /// Reads the object again: the outcome is stored, or may still be stored, or is dropped.
    fn rewrites(&self, state: &mut ModelState, who: Who, status: StatusId) {
        let Some(fresh) = state.object else { return Self::gone(state, who) };
        let operator = *state.operator(who);
        if fresh.status != status && (operator.current || self.may_record(&operator, fresh, status)) {
            let status = if operator.current { status } else { self.rules.rebase(status, fresh.status) };
            let operator = state.operator_mut(who);
            operator.view = Some(fresh);
            operator.current = true;
            operator.ripe = false;
            operator.phase = Phase::Rewriting { status, fresh: true };
        } else {
            let own = operator.view.map(|view| self.rules.summary(view.status));
            let stored = self.rules.summary(fresh.status);
            if stored.claim.is_some() && own.is_some_and(|own| own.operation == stored.operation) {
                state.breaches.note(Breach::OutcomeDropped);
            }
            self.take(state, who);
            state.operator_mut(who).phase = Phase::Idle;
        }
    }

    /// Returns whether the outcome may be stored in an object that was changed meanwhile.
    fn may_record(&self, operator: &Operator, fresh: Object, status: StatusId) -> bool {
        let Some(view) = operator.view else { return false };
        self.rules.may_record(view.status, fresh.status, status) || self.is(Mutation::AnythingIsRecordedOver)
    }

    /// Forgets a claim that no longer exists anywhere, so that equivalent states are equal.
    pub(crate) fn forget_unsent(&self, state: &mut ModelState) {
        let statuses = [state.object, state.previous].into_iter().flatten().map(|object| object.status);
        let views = state.operators.iter().filter_map(|operator| operator.view).map(|object| object.status);
        let delayed = state.delayed.map(|delayed| delayed.status);
        let unsure = state.operators.iter().filter_map(|operator| match operator.phase {
            Phase::Unsure { claim, .. } => Some(claim),
            _ => None,
        });
        let known: Vec<_> = statuses
            .chain(views)
            .chain(delayed)
            .chain(unsure)
            .map(|status| self.rules.summary(status))
            .filter_map(|summary| Some((summary.request, summary.claim?)))
            .collect();
        for operator in &mut state.operators {
            operator.unsent = operator.unsent.filter(|claim| {
                let summary = self.rules.summary(*claim);
                summary.claim.is_some_and(|claim| known.contains(&(summary.request, claim)))
            });
        }
    }

    /// Makes the process lose all that it remembers. A call that it made stays under way.
    pub(crate) fn crashes(&self, state: &mut ModelState, who: Who, restart: Restart) {
        state.left.crashes -= 1;
        self.dies(state, who);
        let past = state.previous.filter(|_| restart == Restart::ShownThePast);
        state.left.stale_lists -= u8::from(past.is_some());
        let operator = state.operator_mut(who);
        operator.name.1 += u8::from(restart != Restart::SameName);
        operator.view = past;
        operator.current = false;
        if past.is_none() {
            self.take(state, who);
        }
        state.forget_the_past();
    }

    /// Removes everything of the process except its call.
    pub(crate) fn dies(&self, state: &mut ModelState, who: Who) {
        if state.operator(who).phase == Phase::Calling {
            self.leaves_call(state, who);
        }
        let operator = state.operator_mut(who);
        operator.phase = Phase::Idle;
        operator.claimed = None;
        operator.unsent = None;
        operator.ripe = false;
    }
}
