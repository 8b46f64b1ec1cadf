//! People: the one who asks, the tool that applies what stands in Git, who grants rights, and others who work on the same connector.

use crate::machine::{Event, Machine};
use crate::subject::{Stand, Subject};
use crate::world::World;

impl<S: Subject> Machine<S> {
    /// What people may do now.
    pub(crate) fn people_events(world: &World, events: &mut Vec<Event>) {
        let left = &world.left;
        let mut add = |may: bool, event| events.extend(may.then_some(event));
        add(left.permissions > 0, Event::TurnsReading);
        add(left.meddling > 0 && world.connector != Stand::Moving, Event::Meddles);
        add(left.moves > 0, Event::MovesMain);
        let Some(object) = world.object else { return };
        add(left.suspensions > 0, Event::TurnsSuspend);
        add(left.retries > 0, Event::AsksForRetry);
        add(left.put_back > 0 && object.retry > 0, Event::PutsRetryBack);
        add(left.deletions > 0, Event::Deletes);
        add(left.deletions > 0 || object.being_deleted, Event::Goes);
    }

    /// What people do.
    pub(crate) fn is_changed(&self, world: &mut World, event: Event) {
        match event {
            Event::TurnsReading => {
                world.left.permissions -= 1;
                world.reading_refused ^= true;
            }
            Event::Meddles => {
                world.left.meddling -= 1;
                world.meddled = true;
                world.seen_unchanged |= !S::REPEATABLE;
                world.connector = if world.connector == Stand::After { Stand::Before } else { Stand::After };
            }
            Event::MovesMain => {
                world.left.moves -= 1;
                world.main += 1;
            }
            Event::Goes => {
                let marked = world.object.take().is_some_and(|object| object.being_deleted);
                world.left.deletions -= u8::from(!marked);
                Self::changed(world);
            }
            _ => self.is_edited(world, event),
        }
    }

    fn is_edited(&self, world: &mut World, event: Event) {
        let (asked, left) = (self.bounds.retries - world.left.retries, &mut world.left);
        let Some(object) = &mut world.object else { return };
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
            Event::Deletes => {
                left.deletions -= 1;
                object.being_deleted = true;
                object.generation += 1;
            }
            _ => {}
        }
        Self::changed(world);
    }
}
