//! What must hold in every state, and what a write or a request must never do.

use cde_operator::credential::protocol::Next;
use stateright::Property;

use crate::state::Who;

use super::machine::Machine;
use super::state::{Phase, RefreshState, Secret, Tokens};

/// A rule that an event broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Breach {
    KnownSpentSent = 1,
    TwoRequests = 2,
    UsedTwice = 4,
    Overwritten = 8,
    Dropped = 16,
    RevokedStored = 32,
}

/// All rules broken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Breaches(u8);

impl Breaches {
    pub(crate) fn note(&mut self, breach: Breach) {
        self.0 |= breach as u8;
    }

    fn lacks(self, breach: Breach) -> bool {
        self.0 & breach as u8 == 0
    }
}

pub(crate) const SPENT_STAYS_UNSENT: &str =
    "a process sends no refresh token that it can know to be spent, replaced or rejected";
pub(crate) const ONE_REQUEST: &str = "while claims last, one process at a time sends a refresh token";
pub(crate) const USED_ONCE: &str =
    "the server sees a refresh token twice only after a crash, a lost answer, a stand-still or an old Secret";
pub(crate) const STORED_STAYS: &str =
    "an operator writes over no newer login, no logout and no successor of its own tokens";
pub(crate) const RESULTS_ARE_KEPT: &str = "new tokens are given up only for a login or a logout of a person";
pub(crate) const STORED_IS_NOT_REVOKED: &str = "an operator does not revoke the login in the Secret";
pub(crate) const USED_IS_STORED: &str = "an access token is used only after it was stored";
pub(crate) const REQUIRED_IS_TRUE: &str = "LoginRequired means that the stored refresh token brings nothing";
pub(crate) const OWN_CLAIM_IS_FREE: &str = "no process waits for its own claim";
pub(crate) const ALL_ENDS: &str =
    "when faults end, every process has a usable token or reports LoginRequired";

/// Returns all properties.
pub(crate) fn all() -> Vec<Property<Machine>> {
    vec![
        Property::always(SPENT_STAYS_UNSENT, |_, state: &RefreshState| {
            state.breaches.lacks(Breach::KnownSpentSent)
        }),
        Property::always(ONE_REQUEST, |_, state: &RefreshState| state.breaches.lacks(Breach::TwoRequests)),
        Property::always(USED_ONCE, |_, state: &RefreshState| state.breaches.lacks(Breach::UsedTwice)),
        Property::always(STORED_STAYS, |_, state: &RefreshState| state.breaches.lacks(Breach::Overwritten)),
        Property::always(RESULTS_ARE_KEPT, |_, state: &RefreshState| state.breaches.lacks(Breach::Dropped)),
        Property::always(STORED_IS_NOT_REVOKED, |_, state: &RefreshState| {
            state.breaches.lacks(Breach::RevokedStored)
        }),
        Property::always(USED_IS_STORED, |_, state: &RefreshState| {
            let mut used = state.processes.iter().filter_map(|process| process.using);
            used.all(|access| state.stored.contains(access))
        }),
        Property::always(REQUIRED_IS_TRUE, Machine::required_is_true),
        Property::always(OWN_CLAIM_IS_FREE, Machine::own_claim_is_free),
        Property::always(ALL_ENDS, Machine::ends),
    ]
}

impl Machine {
    /// A login that was put back, and then replaced by the newer one again, is no longer trusted.
    fn required_is_true(&self, state: &RefreshState) -> bool {
        let Some(tokens) = state.secret.tokens else { return true };
        let is_dead = !state.server.is_live(tokens.refresh);
        is_dead
            || self.used(state, |bounds| bounds.put_back)
            || state.processes.iter().all(|process| {
                let is_settled = process.phase == Phase::Idle && process.current;
                !is_settled || self.next(process) != Next::LoginRequired
            })
    }

    fn own_claim_is_free(&self, state: &RefreshState) -> bool {
        state.processes.iter().all(|process| {
            let is_own = process.view.claim == Some(process.name);
            let waits = is_own && process.due && process.phase == Phase::Idle;
            !waits || !matches!(self.next(process), Next::Wait(_))
        })
    }

    /// Judges a request before it goes out.
    pub(crate) fn judge_request(&self, state: &mut RefreshState, who: Who) {
        let process = state.process(who);
        let sent = process.sent();
        if sent.is_some_and(|sent| process.knows.contains(sent)) {
            state.breaches.note(Breach::KnownSpentSent);
        }
        let is_sending = state.processes.iter().any(|other| {
            let sends = matches!(other.phase, Phase::Sending { .. }) && other.sent() == sent;
            sends && !(other.overslept && self.excuses_stand_stills)
        });
        // Whoever puts a Secret back without its claim ends the claim.
        if is_sending && !self.used(state, |bounds| bounds.put_back) {
            state.breaches.note(Breach::TwoRequests);
        }
    }

    /// Judges the write of `secret` by `who`.
    pub(crate) fn judge_write(state: &mut RefreshState, who: Who, secret: Secret) {
        let Some(ours) = secret.tokens else { return };
        let is_result = matches!(state.process(who).phase, Phase::Granted { .. });
        let holds = match state.secret.tokens {
            None => !is_result,
            Some(stored) => {
                let login = |tokens: Tokens| state.server.login_of(tokens.refresh);
                let is_successor = login(stored) == login(ours) && stored.refresh > ours.refresh;
                // To the process, a login that it saw replaced is an old one, even if someone puts it back as the newer one.
                let is_old = state.process(who).knows.contains(stored.refresh);
                is_old || (login(stored) <= login(ours) && !is_successor)
            }
        };
        if !holds {
            state.breaches.note(Breach::Overwritten);
        }
    }

    /// Judges that `who` gives up `ours` for what is stored.
    pub(crate) fn judge_loss(state: &mut RefreshState, who: Who, ours: Tokens) {
        let Some(stored) = state.secret.tokens else { return };
        let process = state.process(who);
        let is_older = process.sent() == Some(stored.refresh) || process.knows.contains(stored.refresh);
        if is_older && stored.refresh != ours.refresh {
            state.breaches.note(Breach::Dropped);
        }
    }

    /// Judges the revocation of `ours`.
    pub(crate) fn judge_revocation(&self, state: &mut RefreshState, ours: Tokens) {
        let Some(stored) = state.secret.tokens else { return };
        let is_same = state.server.login_of(stored.refresh) == state.server.login_of(ours.refresh);
        // An old login that is put back may end another's claim, or belong to the login of `ours`.
        if is_same && !self.used(state, |bounds| bounds.put_back) {
            state.breaches.note(Breach::RevokedStored);
        }
    }
}
