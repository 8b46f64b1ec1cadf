//! People: those who log in and out, Git and backups that put an old login back, and whoever changes a label.

use super::machine::{Event, Machine};
use super::state::{RefreshState, Secret};

impl Machine {
    /// Adds what people may do now.
    pub(crate) fn people_events(state: &RefreshState, events: &mut Vec<Event>) {
        let left = &state.left;
        let mut add = |may: bool, event| events.extend(may.then_some(event));
        add(left.logins > 0, Event::LogsIn);
        add(left.logouts > 0 && state.secret.tokens.is_some(), Event::LogsOut);
        add(left.labels > 0, Event::ChangesLabel);
        if left.put_back > 0 {
            let present = state.secret.tokens.map(|tokens| tokens.access);
            let old = state.stored.iter().filter(|access| Some(*access) != present);
            events.extend(old.map(Event::PutsBack));
        }
    }

    /// Carries out what people do.
    pub(crate) fn is_changed(state: &mut RefreshState, event: Event) {
        let secret = match event {
            Event::LogsIn => {
                state.left.logins -= 1;
                Secret { tokens: Some(state.server.log_in()), claim: None }
            }
            Event::LogsOut => {
                state.left.logouts -= 1;
                if let Some(tokens) = state.secret.tokens {
                    state.server.revoke(tokens.refresh);
                }
                Secret::default()
            }
            Event::PutsBack(access) => {
                state.left.put_back -= 1;
                state.excused = true;
                Secret { tokens: Some(state.server.tokens(access)), claim: None }
            }
            _ => {
                state.left.labels -= 1;
                state.secret
            }
        };
        Self::change(state, secret);
    }
}
