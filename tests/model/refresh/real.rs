//! The real decisions, with symbols for tokens and times.

use std::time::Duration;

use cde_operator::credential::protocol::{self, After, Conflict, Known, Next, Replaced};
use cde_operator::oauth::{Answer, Failure, Grant, Login};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::state::Name;

use super::machine::{Machine, Response};
use super::mutations::Mutation;
use super::server::Reply;
use super::state::{Number, Process, Secret, Tokens};

/// What follows an answer of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    Granted(Tokens),
    SendAgain,
    Reread,
    Release,
}

const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the next step of `process`.
pub(crate) fn next(process: &Process, mutation: Option<Mutation>) -> Next {
    let length = protocol::claim_length(TIMEOUT);
    let is = |one| mutation == Some(one);
    let login = login(process.view.tokens, process.view.claim);
    let is_spent = process.view.tokens.is_some_and(|tokens| process.spent.contains(tokens.refresh));
    let me = match process.view.claim {
        Some(claim) if is(Mutation::AnyClaimCountsAsOwn) => holder(claim),
        _ if is(Mutation::OwnClaimCountsAsAnothers) => String::new(),
        _ => holder(process.name),
    };
    let is_ripe = process.ripe || is(Mutation::ClaimIsNotWaitedOut);
    protocol::next(&Known {
        login: Some(&login),
        is_spent: is_spent && !is(Mutation::SpentIsSentAgain),
        me: &me,
        claim_seen_for: if is_ripe { length } else { length.mul_f64(0.5) },
        claim_length: length,
        due_in: if process.due { Duration::ZERO } else { length },
        pause: Duration::ZERO,
    })
}

/// Returns whether the refresh token may go out on a claim whose time is over, or not.
pub(crate) fn may_send(is_late: bool) -> bool {
    protocol::may_send(claimed_for(is_late), TIMEOUT)
}

/// Returns the claim that the write of a result by `me` over `secret` keeps.
pub(crate) fn others_claim(secret: Secret, me: Name) -> Option<Name> {
    let kept = protocol::others_claim(&login(secret.tokens, secret.claim), &holder(me));
    secret.claim.filter(|_| kept.is_some())
}

fn claimed_for(is_late: bool) -> Duration {
    if is_late { protocol::claim_length(TIMEOUT) } else { Duration::ZERO }
}

impl Machine {
    /// Returns whether `process` revokes its new tokens, which something else replaces.
    pub(crate) fn may_revoke(&self, process: &Process, secret: Secret, may_be_stored: bool) -> bool {
        let is_late = process.late && !self.is(Mutation::EndedClaimRevokes);
        let claim = secret.claim.filter(|_| !self.is(Mutation::KeptClaimRevokes));
        protocol::may_revoke(&Replaced {
            stored: Some(&login(secret.tokens, claim)),
            me: &holder(process.name),
            claimed_for: claimed_for(is_late),
            claim_length: protocol::claim_length(TIMEOUT),
            may_be_stored: may_be_stored && !self.is(Mutation::UnclearWriteRevokes),
        })
    }

    /// Returns what follows the answer to the `sends`-th request with `sent`.
    pub(crate) fn follow(reply: Option<Reply>, response: Response, sent: Number, sends: u8) -> Followed {
        let answer = match reply {
            Some(Reply::Granted { access, refresh }) => Answer::Granted(Grant {
                access_token: text('a', access),
                refresh_token: refresh.map(|number| text('r', number)),
                lifetime: None,
            }),
            Some(Reply::Invalid) => Answer::Failed(Failure::InvalidGrant(String::new())),
            None if response == Response::Refused => Answer::Failed(Failure::Configuration(String::new())),
            None => Answer::Failed(Failure::Unknown(String::new())),
        };
        match protocol::after(answer, sends.into(), Timestamp::UNIX_EPOCH) {
            After::Persist(grant) => {
                let ours = Login::granted(grant, Some(&text('r', sent)), Timestamp::UNIX_EPOCH);
                Followed::Granted(tokens(&ours).expect("a grant has tokens"))
            }
            After::SendAgain => Followed::SendAgain,
            After::Reread => Followed::Reread,
            After::Release(_) => Followed::Release,
        }
    }

    /// Decides between `ours`, the result of spending `sent`, and the stored Secret.
    pub(crate) fn conflict(&self, process: &Process, ours: Tokens, sent: Number, secret: Secret) -> Conflict {
        let stored = login(secret.tokens, secret.claim);
        let is_spent =
            |token: &SecretString| process.spent.contains(number(token)) && !self.is(Mutation::OldLoginWins);
        let decided = protocol::conflict(&login(Some(ours), None), &text('r', sent), Some(&stored), is_spent);
        match decided {
            Conflict::TheirsWins if self.is(Mutation::AnyLoginIsOverwritten) => Conflict::WriteAgain,
            Conflict::WriteAgain if self.is(Mutation::AnyConflictEndsTheResult) => Conflict::TheirsWins,
            decided => decided,
        }
    }
}

fn login(tokens: Option<Tokens>, claim: Option<Name>) -> Login {
    let claim = claim
        .map(|name| protocol::claim(&holder(name), Timestamp::UNIX_EPOCH, protocol::claim_length(TIMEOUT)));
    Login {
        access_token: tokens.map(|tokens| text('a', tokens.access)),
        refresh_token: tokens.map(|tokens| text('r', tokens.refresh)),
        claim,
        ..Login::default()
    }
}

fn tokens(login: &Login) -> Option<Tokens> {
    let (access, refresh) = (login.access_token.as_ref()?, login.refresh_token.as_ref()?);
    Some(Tokens { access: number(access), refresh: number(refresh) })
}

fn text(kind: char, number: Number) -> SecretString {
    format!("{kind}{number}").into()
}

fn number(token: &SecretString) -> Number {
    token.expose_secret()[1..].parse().expect("a token of the model")
}

fn holder((who, drawn): Name) -> String {
    format!("{who:?}{drawn}")
}
