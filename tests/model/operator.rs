//! The operator's shell, step by step: what it may do in each phase, and what follows. The rules are the real ones;
//! the protocol around them is that of the shell's files `reconcile`, `claim`, `act` and `record`.

use cde_operator::operation::Release;

use crate::api_server::Reply;
use crate::clock::Glance;
use crate::machine::{Deed, Delivery, Event, Machine, Restart};
use crate::mutations::Mutation;
use crate::properties::Breach;
use crate::rules::{Question, StatusId, Verdict};
use crate::subject::Subject;
use crate::world::{Object, Operator, Phase, Reading, Who, World, Writing};

impl<S: Subject> Machine<S> {
    /// What an operator may do, and what may happen to it.
    pub(crate) fn operator_events(&self, world: &World, who: Who, events: &mut Vec<Event>) {
        let operator = world.operator(who);
        if operator.view.is_none() {
            return;
        }
        match operator.phase {
            Phase::Idle | Phase::HasRead(_) => {
                if operator.phase == Phase::Idle && !operator.current {
                    events.push(Event::Watches(who));
                }
                self.decisions(world, who, events);
            }
            Phase::Unsure { .. } => {
                events.push(Event::ReadsBack(who));
                if world.left.lost_writes > 0 {
                    events.push(Event::ReadsBackInVain(who));
                }
            }
            Phase::Claimed { late } => {
                if !late || self.is(Mutation::LateClaimActs) {
                    events.push(Event::Calls(who));
                }
                if late || world.left.delays > 0 {
                    events.push(Event::Releases(who));
                }
                if world.left.delays > 0 {
                    events.push(Event::Hesitates(who));
                }
            }
            Phase::Calling => Self::answers(world, who, events),
            Phase::Outcome { unconfirmed, .. } => {
                if unconfirmed {
                    let readings = Self::readings(world).into_iter();
                    events.extend(readings.map(|reading| Event::Confirms(who, reading)));
                }
                let deliveries = self.deliveries(world, who, Writing::Outcome);
                events.extend(deliveries.into_iter().map(|delivery| Event::Records(who, delivery)));
            }
            Phase::Insisting { fresh: false, .. } => events.push(Event::ReadsBack(who)),
            Phase::Insisting { fresh: true, .. } => {
                let deliveries = self.deliveries(world, who, Writing::Outcome);
                events.extend(deliveries.into_iter().map(|delivery| Event::WritesAgain(who, delivery)));
            }
        }
        if world.left.crashes > 0 {
            events.extend([Restart::SameName, Restart::NewName].map(|restart| Event::Crashes(who, restart)));
            if world.previous.is_some() {
                events.push(Event::Crashes(who, Restart::ShownThePast));
            }
        }
    }

    /// What the rules may say now, as the clocks may stand, and what may come of it.
    fn decisions(&self, world: &World, who: Who, events: &mut Vec<Event>) {
        let operator = world.operator(who);
        let glances = if operator.ripe {
            [Glance::Late, Glance::Ripe, Glance::RipeAndHeld]
        } else {
            [Glance::Early, Glance::Late, Glance::LateAndHeld]
        };
        let mut known = Vec::new();
        for glance in glances {
            let verdict = self.verdict(world, who, glance);
            if known.contains(&verdict) || (glance.held() && world.left.pauses == 0) {
                continue;
            }
            known.push(verdict);
            let mut add = |deed| events.push(Event::Decides(who, glance, deed));
            let writing = if matches!(verdict, Verdict::Claim(_)) { Writing::Claim } else { Writing::Note };
            match verdict {
                Verdict::Wait if operator.phase == Phase::Idle => {}
                Verdict::Wait => add(Deed::Ends),
                Verdict::Read => {
                    for reading in Self::readings(world) {
                        add(Deed::Reads(reading));
                    }
                }
                Verdict::Write(_) | Verdict::Claim(_) => {
                    let deliveries = self.deliveries(world, who, writing);
                    for delivery in deliveries {
                        add(Deed::Writes(writing, delivery));
                    }
                }
            }
        }
    }

    /// What the real rules say to this operator now.
    pub(crate) fn verdict(&self, world: &World, who: Who, glance: Glance) -> Verdict {
        let Operator { name, view, phase, unsent, .. } = *world.operator(who);
        let Some(object) = view else { return Verdict::Wait };
        let stored = self.rules.gist(object.status);
        let known = unsent.map(|claim| self.rules.gist(claim));
        let is_known =
            known.is_some_and(|claim| (claim.request, claim.claim) == (stored.request, stored.claim));
        let claim_unsent = stored.claim.is_some() && (is_known || self.is(Mutation::AnyClaimCountsAsUnsent));
        self.rules.decide(&Question {
            object,
            era: world.era,
            main: world.main,
            me: name,
            glance,
            reading: if let Phase::HasRead(reading) = phase { Some(reading) } else { None },
            claim_unsent,
        })
    }

    /// Does what the rules say.
    pub(crate) fn decides(&self, world: &mut World, who: Who, glance: Glance, deed: Deed) {
        let verdict = self.verdict(world, who, glance);
        world.left.pauses -= u8::from(glance.held());
        match (deed, verdict) {
            (Deed::Reads(reading), _) => {
                Self::is_read(world, reading);
                world.operator_mut(who).phase = Phase::HasRead(reading);
            }
            (Deed::Writes(_, delivery), Verdict::Write(status)) => self.notes(world, who, status, delivery),
            (Deed::Writes(_, delivery), Verdict::Claim(status)) => self.claims(world, who, status, delivery),
            _ => world.operator_mut(who).phase = Phase::Idle,
        }
    }

    /// Stores what is waited for, or what a look has brought.
    fn notes(&self, world: &mut World, who: Who, status: StatusId, delivery: Delivery) {
        let phase = world.operator(who).phase;
        let reply = self.write(world, who, status, (Writing::Note, delivery));
        let operator = world.operator_mut(who);
        operator.phase = Phase::Idle;
        match reply {
            Reply::Conflict => {
                if self.is(Mutation::ReadingOutlivesItsObject) {
                    operator.phase = phase;
                }
                self.take(world, who);
            }
            Reply::Gone => Self::gone(world, who),
            // An end is kept until it is stored; what is waited for is decided again.
            Reply::Refused if self.rules.gist(status).outcome.is_some() => {
                let status = self.rules.strip_result(status);
                world.operator_mut(who).phase = Phase::Insisting { status, fresh: false };
            }
            Reply::Unclear if self.rules.gist(status).outcome.is_some() => {
                world.operator_mut(who).phase = Phase::Insisting { status, fresh: false };
            }
            Reply::Stored | Reply::Unclear | Reply::Refused => {}
        }
    }

    /// Takes the right to a call: stored, or not, or nobody knows.
    fn claims(&self, world: &mut World, who: Who, status: StatusId, delivery: Delivery) {
        let pretend = |world: &mut World| {
            let operator = world.operator_mut(who);
            operator.view = operator.view.map(|view| Object { status, ..view });
            operator.phase = Phase::Claimed { late: false };
        };
        if self.is(Mutation::ClaimIsSkipped) {
            return pretend(world);
        }
        let reading = world.operator(who).phase;
        world.operator_mut(who).unsent = Some(status);
        match self.write(world, who, status, (Writing::Claim, delivery)) {
            Reply::Stored => world.operator_mut(who).phase = Phase::Claimed { late: false },
            Reply::Conflict => {
                self.confirm(world, who, status, false);
                let idle = world.operator(who).phase == Phase::Idle && world.object.is_some();
                if idle && self.is(Mutation::ReadingOutlivesItsObject) {
                    world.operator_mut(who).phase = reading;
                }
            }
            Reply::Gone => Self::gone(world, who),
            Reply::Unclear | Reply::Refused if self.is(Mutation::ClaimIsNotConfirmed) => pretend(world),
            Reply::Unclear | Reply::Refused => {
                world.operator_mut(who).phase = Phase::Unsure { claim: status, late: false };
            }
        }
    }

    /// The object was read again: the stored claim is this very one, or everything is dropped.
    fn confirm(&self, world: &mut World, who: Who, claim: StatusId, late: bool) {
        self.take(world, who);
        let old = world.old;
        let operator = world.operator_mut(who);
        let stored = operator.view.map(|object| self.rules.gist(object.status).operation);
        let stands = stored == Some(self.rules.gist(claim).operation) && (late || !old);
        operator.phase = if stands { Phase::Claimed { late } } else { Phase::Idle };
    }

    /// A read of the object, which is never old.
    pub(crate) fn reads_back(&self, world: &mut World, who: Who) {
        match world.operator(who).phase {
            Phase::Unsure { claim, late } => self.confirm(world, who, claim, late),
            Phase::Insisting { status, .. } => self.insists(world, who, status),
            _ => {}
        }
    }

    /// The call goes out, on the claim in the object at hand.
    pub(crate) fn calls(&self, world: &mut World, who: Who) {
        let operator = world.operator_mut(who);
        let Some(object) = operator.view else { return };
        operator.unsent = None;
        let gist = self.rules.gist(object.status);
        let claim = gist.claim.and_then(|(_, attempt)| Some((gist.request?, attempt)));
        let unclaimed = claim.is_none() || claim != operator.claimed;
        operator.phase = Phase::Calling;
        if unclaimed {
            world.breaches.note(Breach::CallWithoutClaim);
        }
        if let (Some((request, _)), Some(major)) = (claim, self.rules.called(object)) {
            let first = *world.called[usize::from(request)].get_or_insert(major);
            if first != major {
                world.breaches.note(Breach::AnotherVersion);
            }
        }
    }

    /// The claim is not used: it is released.
    pub(crate) fn releases(&self, world: &mut World, who: Who) {
        let operator = world.operator_mut(who);
        let in_time = operator.phase == Phase::Claimed { late: false };
        let Some(object) = operator.view else { return };
        let why = if in_time { Release::Stopping } else { Release::TooLate };
        let status = self.rules.release(object, why);
        operator.phase = Phase::Outcome { status, unconfirmed: false };
        world.left.delays -= u8::from(in_time);
    }

    /// The claim is not used, and the object is decided again.
    pub(crate) fn hesitates(world: &mut World, who: Who) {
        world.operator_mut(who).phase = Phase::Idle;
        world.left.delays -= 1;
    }

    /// The connector is read to confirm a refusal.
    pub(crate) fn confirms(&self, world: &mut World, who: Who, reading: Reading) {
        Self::is_read(world, reading);
        let Operator { view, phase, .. } = *world.operator(who);
        let (Some(object), Phase::Outcome { status, .. }) = (view, phase) else { return };
        let status = self.rules.confirm(object, status, reading, world.main).unwrap_or(status);
        world.operator_mut(who).phase = Phase::Outcome { status, unconfirmed: false };
    }

    /// The record is written for the first time.
    pub(crate) fn records_now(&self, world: &mut World, who: Who, delivery: Delivery) {
        if let Phase::Outcome { status, .. } = world.operator(who).phase {
            self.records(world, who, status, delivery);
        }
    }

    /// Stores the outcome of a call, or begins to insist.
    fn records(&self, world: &mut World, who: Who, mut status: StatusId, delivery: Delivery) {
        if let (true, Some(view)) = (self.is(Mutation::RecordConsumesWish), world.object) {
            status = self.rules.handling(status, view.retry);
        }
        match self.write(world, who, status, (Writing::Outcome, delivery)) {
            Reply::Stored => world.operator_mut(who).phase = Phase::Idle,
            Reply::Gone => Self::gone(world, who),
            Reply::Refused => {
                let status = self.rules.strip_result(status);
                world.operator_mut(who).phase = Phase::Insisting { status, fresh: false };
            }
            Reply::Unclear if self.is(Mutation::LostOutcomeReleases) => self.releases(world, who),
            Reply::Conflict | Reply::Unclear => {
                world.operator_mut(who).phase = Phase::Insisting { status, fresh: false };
            }
        }
    }

    pub(crate) fn writes_again(&self, world: &mut World, who: Who, delivery: Delivery) {
        if let Phase::Insisting { status, .. } = world.operator(who).phase {
            self.records(world, who, status, delivery);
        }
    }

    /// The object was read again: the outcome stands in it, or may still be stored, or is dropped.
    fn insists(&self, world: &mut World, who: Who, status: StatusId) {
        let Some(fresh) = world.object else { return Self::gone(world, who) };
        let operator = *world.operator(who);
        if fresh.status != status && (operator.current || self.may_record(&operator, fresh, status)) {
            let status = if operator.current { status } else { self.rules.rebase(status, fresh.status) };
            let operator = world.operator_mut(who);
            operator.view = Some(fresh);
            operator.current = true;
            operator.ripe = false;
            operator.phase = Phase::Insisting { status, fresh: true };
        } else {
            let own = operator.view.map(|view| self.rules.gist(view.status));
            let stored = self.rules.gist(fresh.status);
            if stored.claim.is_some() && own.is_some_and(|own| own.operation == stored.operation) {
                world.breaches.note(Breach::OutcomeDropped);
            }
            self.take(world, who);
            world.operator_mut(who).phase = Phase::Idle;
        }
    }

    /// Whether the outcome may be stored in an object that was changed since.
    fn may_record(&self, operator: &Operator, fresh: Object, status: StatusId) -> bool {
        let Some(view) = operator.view else { return false };
        self.rules.may_record(view.status, fresh.status, status) || self.is(Mutation::AnythingIsRecordedOver)
    }

    /// A claim that no longer exists anywhere needs no remembering: this keeps alike worlds the same state.
    pub(crate) fn forget_unsent(&self, world: &mut World) {
        let statuses = [world.object, world.previous].into_iter().flatten().map(|object| object.status);
        let views = world.operators.iter().filter_map(|operator| operator.view).map(|object| object.status);
        let delayed = world.delayed.map(|delayed| delayed.status);
        let unsure = world.operators.iter().filter_map(|operator| match operator.phase {
            Phase::Unsure { claim, .. } => Some(claim),
            _ => None,
        });
        let known: Vec<_> = statuses
            .chain(views)
            .chain(delayed)
            .chain(unsure)
            .map(|status| self.rules.gist(status))
            .filter_map(|gist| Some((gist.request, gist.claim?)))
            .collect();
        for operator in &mut world.operators {
            operator.unsent = operator.unsent.filter(|claim| {
                let gist = self.rules.gist(*claim);
                gist.claim.is_some_and(|claim| known.contains(&(gist.request, claim)))
            });
        }
    }

    /// The process loses all that it remembers; a call that it made stays under way.
    pub(crate) fn crashes(&self, world: &mut World, who: Who, restart: Restart) {
        world.left.crashes -= 1;
        self.dies(world, who);
        let past = world.previous.filter(|_| restart == Restart::ShownThePast);
        world.left.stale_lists -= u8::from(past.is_some());
        let operator = world.operator_mut(who);
        operator.name.1 += u8::from(restart != Restart::SameName);
        operator.view = past;
        operator.current = false;
        if past.is_none() {
            self.take(world, who);
        }
        world.forget_the_past();
    }

    /// Nothing is left of the process but its call.
    pub(crate) fn dies(&self, world: &mut World, who: Who) {
        if world.operator(who).phase == Phase::Calling {
            self.leaves_call(world, who);
        }
        let operator = world.operator_mut(who);
        operator.phase = Phase::Idle;
        operator.claimed = None;
        operator.unsent = None;
        operator.ripe = false;
    }
}
