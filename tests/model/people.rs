//! People: users, the tool that applies Git, cluster administrators who grant permissions, and others who change the
//! same connector.

use cde_operator::api::Outcome;

use crate::machine::{Event, Machine};
use crate::state::ModelState;
use crate::subject::{Stand, Subject};

impl<S: Subject> Machine<S> {
    /// Adds what people may do now.
    pub(crate) fn people_events(&self, state: &ModelState, events: &mut Vec<Event>) {
        let left = &state.left;
        let mut add = |may: bool, event| events.extend(may.then_some(event));
        add(left.permissions > 0, Event::TurnsReading);
        add(left.meddling > 0 && state.connector != Stand::Moving, Event::Meddles);
        add(left.moves > 0, Event::MovesMain);
        let Some(object) = state.object else { return };
        add(left.suspensions > 0, Event::TurnsSuspend);
        add(left.retries > 0, Event::AsksForRetry);
        add(left.put_back > 0 && object.retry > 0, Event::PutsRetryBack);
        if let Some(succeeded) = self.visible_outcome(state) {
            add(left.confirmations > 0, Event::AnnotatesOutcome { succeeded });
        }
        add(left.deletions > 0, Event::Deletes);
        add(left.deletions > 0 || object.being_deleted, Event::Goes);
    }

    /// Returns what a person can find out about a request of unknown outcome; `None` while its effect may still come.
    fn visible_outcome(&self, state: &ModelState) -> Option<bool> {
        let summary = self.rules.summary(state.object?.status);
        let request = summary.request.filter(|_| summary.outcome == Some(Outcome::Unknown))?;
        let may_still_come = state.under_way.contains(&Some(request));
        (!may_still_come).then_some(state.effects[usize::from(request)] > 0)
    }

    /// Carries out what people do.
    pub(crate) fn is_changed(&self, state: &mut ModelState, event: Event) {
        match event {
            Event::TurnsReading => {
                state.left.permissions -= 1;
                state.reading_refused ^= true;
            }
            Event::Meddles => {
                state.left.meddling -= 1;
                state.meddled = true;
                state.seen_unchanged |= !S::REPEATABLE;
                state.connector = if state.connector == Stand::After { Stand::Before } else { Stand::After };
            }
            Event::MovesMain => {
                state.left.moves -= 1;
                state.main += 1;
            }
            Event::Goes => {
                let marked = state.object.take().is_some_and(|object| object.being_deleted);
                state.left.deletions -= u8::from(!marked);
                Self::changed(state);
            }
            _ => self.is_edited(state, event),
        }
    }

    fn is_edited(&self, state: &mut ModelState, event: Event) {
        let (asked, left) = (self.bounds.retries - state.left.retries, &mut state.left);
        let Some(object) = &mut state.object else { return };
        let request = self.rules.summary(object.status).request;
        match event {
            Event::TurnsSuspend => {
                left.suspensions -= 1;
                object.suspended ^= true;
                object.generation += 1;
            }
            Event::AsksForRetry => {
                left.retries -= 1;
                object.retry = asked + 1;
            }
            Event::PutsRetryBack => {
                left.put_back -= 1;
                object.retry -= 1;
            }
            Event::AnnotatesOutcome { succeeded } => {
                left.confirmations -= 1;
                object.confirm = request.map(|request| (request, succeeded));
            }
            Event::Deletes => {
                left.deletions -= 1;
                object.being_deleted = true;
                object.generation += 1;
            }
            _ => {}
        }
        Self::changed(state);
    }
}
