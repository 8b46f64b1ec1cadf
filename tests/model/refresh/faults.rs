//! Crashes, abandoned requests, and the time in which requests and claims end.

use crate::state::Who;

use super::machine::Machine;
use super::state::{Number, Phase, Process, RefreshState};

impl Machine {
    /// Leaves a request under way, if the model has room for it.
    pub(crate) fn abandons(state: &mut RefreshState, token: Number) {
        state.excused = true;
        if let Some(free) = state.under_way.iter_mut().find(|request| request.is_none()) {
            *free = Some(token);
            state.under_way.sort_unstable();
        }
    }

    pub(crate) fn late_request_arrives(&self, state: &mut RefreshState, token: Number) {
        if let Some(request) = state.under_way.iter_mut().find(|request| **request == Some(token)) {
            *request = None;
            state.under_way.sort_unstable();
        }
        self.reaches_server(state, token);
    }

    pub(crate) fn crashes(state: &mut RefreshState, who: Who, outdated: bool) {
        state.left.crashes -= 1;
        Self::dies(state, who);
        let past = if outdated { Self::shows_the_past(state) } else { None };
        let (who_is, drawn) = state.process(who).name;
        let mut process = Process::started((who_is, drawn + 1), past.unwrap_or(state.secret));
        if past.is_some() {
            (process.current, process.same_claim) = (false, false);
        }
        *state.process_mut(who) = process;
    }

    /// Ends a process. Its request may still arrive.
    pub(crate) fn dies(state: &mut RefreshState, who: Who) {
        let process = *state.process(who);
        state.excused |= process.is_in_the_middle();
        if let (Phase::Sending { .. }, Some(sent)) = (process.phase, process.sent()) {
            Self::abandons(state, sent);
        }
        state.process_mut(who).phase = Phase::Dead;
    }

    /// Returns whether everything under way may take a claim's length: a process in the middle stands still.
    pub(crate) fn may_time_pass(state: &RefreshState) -> bool {
        let stands_still = state.processes.iter().any(|process| process.is_in_the_middle() && !process.late);
        let mut then = *state;
        if stands_still && state.left.delays == 0 {
            return false;
        }
        Self::claim_time_passes(&mut then);
        then != *state
    }

    /// Ends all requests, and makes every claim that a process sees as old as a claim gets.
    pub(crate) fn claim_time_passes(state: &mut RefreshState) {
        state.under_way = [None; 2];
        for process in &mut state.processes {
            process.ripe = process.phase == Phase::Idle && process.view.claim.is_some();
            if process.is_in_the_middle() && !process.late {
                process.late = true;
                process.overslept = matches!(process.phase, Phase::Sending { .. });
                state.left.delays = state.left.delays.saturating_sub(1);
                state.excused = true;
            }
        }
    }
}
