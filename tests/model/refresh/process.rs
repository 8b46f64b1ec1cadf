//! The shell's protocol around the real decisions, as `refresher.rs` and `refresher/refresh.rs` follow it.

use cde_operator::credential::protocol::{Conflict, Next};

use crate::state::{Name, Who};

use super::api_server::Reply;
use super::machine::{Delivery, Machine, Response};
use super::mutations::Mutation;
use super::properties::Breach;
use super::real::{self, Followed};
use super::server;
use super::state::{Number, Numbers, Phase, Process, RefreshState, Secret, Tokens};

impl Process {
    /// Returns a process that has just read `view`.
    pub(crate) fn started(name: Name, view: Secret) -> Self {
        Self {
            name,
            view,
            current: true,
            same_claim: true,
            ripe: false,
            late: false,
            overslept: false,
            phase: Phase::Idle,
            due: true,
            using: view.tokens.map(|tokens| tokens.access),
            spent: Numbers::default(),
            knows: Numbers::default(),
        }
    }

    fn use_login(&mut self, access: Number) {
        self.using = Some(access);
        self.due = false;
    }

    /// Ends a refresh.
    fn rest(&mut self) {
        self.phase = Phase::Idle;
        (self.late, self.overslept) = (false, false);
    }
}

impl Machine {
    /// Takes over a version of the Secret, as `Refresher::adopt` does.
    fn adopt(&self, process: &mut Process, new: Secret) {
        process.ripe &= process.same_claim && new.claim.is_some();
        process.same_claim = true;
        let before = std::mem::replace(&mut process.view, new).tokens.map(|tokens| tokens.refresh);
        let Some(tokens) = new.tokens else { return };
        let replaced = before.filter(|before| *before != tokens.refresh);
        if let Some(replaced) = replaced.filter(|_| !process.knows.contains(tokens.refresh)) {
            process.knows.insert(replaced);
        }
        if process.spent.contains(tokens.refresh) {
            return;
        }
        if let Some(replaced) = replaced.filter(|_| !self.is(Mutation::ReplacedIsForgotten)) {
            process.spent.insert(replaced);
        }
        if replaced.is_some() || process.using != Some(tokens.access) {
            process.use_login(tokens.access);
        }
    }

    /// `who` reads the stored version.
    pub(crate) fn adopts(&self, state: &mut RefreshState, who: Who) {
        let secret = state.secret;
        let process = state.process_mut(who);
        self.adopt(process, secret);
        process.current = true;
    }

    /// The watch delivers an older version than the known one, which the process ignores by its number.
    pub(crate) fn watches_the_past(&self, state: &mut RefreshState, who: Who) {
        let Some(past) = Self::shows_the_past(state) else { return };
        if self.is(Mutation::OlderVersionIsTaken) {
            let process = state.process_mut(who);
            self.adopt(process, past);
            (process.current, process.same_claim) = (false, false);
        }
    }

    pub(crate) fn is_unauthorized(&self, state: &RefreshState, who: Who) -> bool {
        let process = state.process(who);
        !process.due && process.using.is_some_and(|access| !state.server.accepts(self.kind, access))
    }

    pub(crate) fn claims_next(&self, state: &RefreshState, who: Who) -> bool {
        self.next(state.process(who)) == Next::Claim
    }

    pub(crate) fn claims(&self, state: &mut RefreshState, who: Who, delivery: Delivery) {
        let process = state.process_mut(who);
        let mine = Secret { claim: Some(process.name), ..process.view };
        let reply = if self.is(Mutation::ClaimIsSkipped) {
            Reply::Stored
        } else {
            self.patch(state, who, mine, delivery)
        };
        match reply {
            Reply::Stored => state.process_mut(who).phase = Phase::Claimed { sends: 0 },
            Reply::Conflict => self.adopts(state, who),
            Reply::Unclear if self.is(Mutation::ClaimIsNotConfirmed) => {
                state.process_mut(who).phase = Phase::Claimed { sends: 0 };
            }
            Reply::Unclear => {}
        }
    }

    /// Returns whether the claim of `who` is over before the refresh token goes out.
    pub(crate) fn is_too_late(&self, state: &RefreshState, who: Who) -> bool {
        !real::may_send(state.process(who).late) && !self.is(Mutation::EndedClaimSends)
    }

    pub(crate) fn sends(&self, state: &mut RefreshState, who: Who) {
        self.judge_request(state, who);
        let process = state.process_mut(who);
        process.overslept = false;
        if let Phase::Claimed { sends } = process.phase {
            process.phase = Phase::Sending { sends: sends + 1 };
        }
    }

    /// Returns what the token endpoint may answer.
    pub(crate) fn responses(state: &RefreshState) -> Vec<Response> {
        let mut all = vec![Response::Usual];
        if state.left.faults > 0 {
            all.extend([
                Response::Unknown { effect: false },
                Response::Unknown { effect: true },
                Response::Refused,
            ]);
            if state.under_way.contains(&None) {
                all.push(Response::Silent);
            }
        }
        all
    }

    pub(crate) fn is_answered(&self, state: &mut RefreshState, who: Who, response: Response) {
        let process = *state.process(who);
        let (Some(sent), Phase::Sending { sends }) = (process.sent(), process.phase) else { return };
        state.left.faults -= u8::from(response != Response::Usual);
        let reply = match response {
            Response::Usual => Some(self.reaches_server(state, sent)),
            Response::Unknown { effect: true } => {
                self.reaches_server(state, sent);
                state.excused = true;
                None
            }
            Response::Silent => {
                Self::abandons(state, sent);
                None
            }
            Response::Unknown { effect: false } | Response::Refused => None,
        };
        let next = Self::follow(reply, response, sent, sends);
        let process = state.process_mut(who);
        process.phase = match next {
            Followed::Granted(ours) => {
                if ours.refresh != sent {
                    process.knows.insert(sent);
                    process.spent.insert(sent);
                }
                Phase::Granted { ours, may_be_stored: false }
            }
            Followed::SendAgain => Phase::Claimed { sends },
            Followed::Reread => {
                process.knows.insert(sent);
                Phase::Rejected
            }
            Followed::Release => Phase::Releasing,
        };
        self.misuses_grant(state, who);
    }

    /// Makes the mistakes that follow the answer at once.
    fn misuses_grant(&self, state: &mut RefreshState, who: Who) {
        let Phase::Granted { ours, .. } = state.process(who).phase else { return };
        if self.is(Mutation::UsedBeforeStored) {
            state.process_mut(who).using = Some(ours.access);
        }
        if self.is(Mutation::ClaimIsReleasedFirst) {
            let released = Secret { claim: None, ..state.process(who).view };
            self.patch(state, who, released, Delivery::Answered);
        }
    }

    pub(crate) fn reaches_server(&self, state: &mut RefreshState, token: Number) -> server::Reply {
        let (reply, is_reuse) = state.server.handle(self.kind, token);
        if is_reuse && !state.excused {
            state.breaches.note(Breach::UsedTwice);
        }
        reply
    }

    pub(crate) fn persists(&self, state: &mut RefreshState, who: Who, delivery: Delivery) {
        let process = *state.process(who);
        let (Some(sent), Phase::Granted { ours, may_be_stored }) = (process.sent(), process.phase) else {
            return;
        };
        let claim = real::others_claim(state.secret, process.name);
        let claim = claim.filter(|_| !self.is(Mutation::ClaimIsOverwritten));
        match self.patch(state, who, Secret { tokens: Some(ours), claim }, delivery) {
            Reply::Stored => Self::stored_ours(state, who, ours),
            Reply::Unclear if self.is(Mutation::ResultIsWrittenOnce) => {
                Self::judge_loss(state, who, ours);
                state.process_mut(who).rest();
            }
            Reply::Unclear => state.process_mut(who).phase = Phase::Granted { ours, may_be_stored: true },
            Reply::Conflict => match self.conflict(&process, ours, sent, state.secret) {
                Conflict::WriteAgain => state.process_mut(who).current = true,
                Conflict::Stored => {
                    let secret = state.secret;
                    let process = state.process_mut(who);
                    process.ripe &= process.same_claim && secret.claim.is_some();
                    (process.view, process.current, process.same_claim) = (secret, true, true);
                    Self::stored_ours(state, who, ours);
                }
                Conflict::TheirsWins => self.yields(state, who, ours, may_be_stored),
            },
        }
    }

    fn stored_ours(state: &mut RefreshState, who: Who, ours: Tokens) {
        let process = state.process_mut(who);
        process.use_login(ours.access);
        process.rest();
    }

    /// Forgets `ours`, and revokes it if no other process can have refreshed the same login.
    fn yields(&self, state: &mut RefreshState, who: Who, ours: Tokens, may_be_stored: bool) {
        Self::judge_loss(state, who, ours);
        self.adopts(state, who);
        if self.may_revoke(state.process(who), state.secret, may_be_stored) {
            self.judge_revocation(state, ours);
            state.server.revoke(ours.refresh);
        }
        self.releases_own(state, who);
    }

    pub(crate) fn rereads(&self, state: &mut RefreshState, who: Who) {
        let Some(sent) = state.process(who).sent() else { return };
        if !self.is(Mutation::RejectionIsForgotten) {
            state.process_mut(who).spent.insert(sent);
        }
        self.adopts(state, who);
        self.releases_own(state, who);
    }

    /// Removes the claim next, if it is the process's own.
    fn releases_own(&self, state: &mut RefreshState, who: Who) {
        let process = state.process_mut(who);
        let is_own = process.view.claim == Some(process.name) || self.is(Mutation::AnyClaimIsReleased);
        if process.view.claim.is_some() && is_own {
            process.phase = Phase::Releasing;
        } else {
            process.rest();
        }
    }

    pub(crate) fn releases(&self, state: &mut RefreshState, who: Who, delivery: Delivery) {
        let released = Secret { claim: None, ..state.process(who).view };
        if self.patch(state, who, released, delivery) == Reply::Conflict {
            self.adopts(state, who);
        }
        state.process_mut(who).rest();
    }

    /// Returns the next step of `process` by the real rules.
    pub(crate) fn next(&self, process: &Process) -> Next {
        real::next(process, self.mutation)
    }
}
