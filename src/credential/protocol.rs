//! The decisions of the refresh protocol, as pure functions: claim, spend, persist, use.
//!
//! A refresh token may be spendable once, and its second use may end the login. So a refresh has the shape of every other
//! effect of this operator:
//!
//! ```text
//!   due ──▶ claim ──▶ spend ──▶ persist ──▶ use
//!           patch     one POST   patch        the new access token
//! ```
//!
//! The claim keeps two processes apart. It also proves, before the token is spent, that the result can be stored.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::oauth::{Answer, Claim, Failure, Grant, Login};

/// The pause before the same refresh token is sent once more. Servers with a grace period answer the repetition.
pub const SEND_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long a refresh waits for the end of calls that are under way.
pub const CALLS_END: Duration = Duration::from_secs(5);
/// The pause after a refusal that only a change of the configuration can end.
pub const CONFIGURATION_PAUSE: Duration = Duration::from_mins(5);
/// The time for the write of the claim, and for the write of the result, within a claim.
const WRITE: Duration = Duration::from_secs(10);
/// A refresh is due after this share of the lifetime, plus up to [`DUE_SPREAD`], so that processes which share a login
/// rarely refresh at the same moment.
const DUE_SHARE: f64 = 0.75;
const DUE_SPREAD: f64 = 0.1;
/// A standby refreshes later than the leader by this share of the lifetime. A rotation may end the access token at once, and
/// only the process that rotates can hold its own calls meanwhile.
const STANDBY_SHARE: f64 = 0.12;
/// A younger access token is not refreshed because the CDE API rejected it: the cause is another one.
const YOUNG: Duration = Duration::from_secs(30);

/// Returns how long a claim keeps other processes away: its own write, the end of the calls under way, both sends and the
/// write of the result, if each send takes at most `timeout`.
#[must_use]
pub fn claim_length(timeout: Duration) -> Duration {
    WRITE + CALLS_END + timeout * 2 + SEND_AGAIN_AFTER + WRITE
}

/// Returns whether the refresh token may go out on a claim that was written `claimed_for` ago: the answer arrives, and is
/// stored, before others ignore the claim. A process that stood still must not send.
#[must_use]
pub fn may_send(claimed_for: Duration, timeout: Duration) -> bool {
    claimed_for + timeout + WRITE <= claim_length(timeout)
}

/// Returns the age at which an access token with this lifetime is refreshed. `jitter` is in 0..1.
#[must_use]
pub fn due_after(lifetime: Duration, jitter: f64) -> Duration {
    lifetime.mul_f64(DUE_SHARE + DUE_SPREAD * jitter)
}

/// Returns how much later than the leader a standby refreshes an access token with this lifetime: after the leader's latest
/// moment, and before the token expires.
#[must_use]
pub fn standby_patience(lifetime: Duration) -> Duration {
    lifetime.mul_f64(STANDBY_SHARE)
}

/// Returns the age below which a rejection does not lead to a refresh.
#[must_use]
pub fn young(lifetime: Duration) -> Duration {
    YOUNG.min(lifetime.mul_f64(DUE_SHARE))
}

/// What a process knows about the Secret. Durations are by its monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The content of the Secret; `None` if there is no Secret.
    pub login: Option<&'a Login>,
    /// This process knows that the refresh token is spent, revoked or rejected.
    pub is_spent: bool,
    /// The name of this process.
    pub me: &'a str,
    /// How long this process has seen the present claim.
    pub claim_seen_for: Duration,
    /// [`claim_length`].
    pub claim_length: Duration,
    /// The time until the refresh is due: zero if it is due.
    pub due_in: Duration,
    /// The time until the next attempt after a failed one.
    pub pause: Duration,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A person must log in: wait until the Secret changes.
    LoginRequired,
    /// Look again after this time, or when the Secret changes.
    Wait(Duration),
    /// Claim the refresh.
    Claim,
}

/// Returns the next step of a process that has no refresh under way.
#[must_use]
pub fn next(known: &Known<'_>) -> Next {
    let Some(login) = known.login.filter(|login| login.refresh_token.is_some()) else {
        return Next::LoginRequired;
    };
    if known.is_spent {
        return Next::LoginRequired;
    }
    let wait = known.due_in.max(known.pause);
    if !wait.is_zero() {
        return Next::Wait(wait);
    }
    match &login.claim {
        // This process has no refresh under way, so a claim in its name was not answered: nothing was sent on it.
        Some(claim) if claim.holder != known.me => {
            let left = known.claim_length.saturating_sub(known.claim_seen_for);
            if left.is_zero() { Next::Claim } else { Next::Wait(left) }
        }
        _ => Next::Claim,
    }
}

/// Returns the claim of `holder` at `now`.
#[must_use]
pub fn claim(holder: &str, now: Timestamp, length: Duration) -> Claim {
    Claim { holder: holder.to_owned(), until: now.checked_add(length).unwrap_or(Timestamp::MAX) }
}

/// What follows a response of the token endpoint.
#[derive(Debug)]
pub enum After {
    /// Store the tokens, until it has succeeded.
    Persist(Grant),
    /// Send the same refresh token once more after [`SEND_AGAIN_AFTER`].
    SendAgain,
    /// Read the Secret once more. If it has the same refresh token, a person must log in.
    Reread,
    /// Release the claim, and try again after this time, or after a backoff.
    Release(Option<Duration>),
}

/// Returns what follows the response to the `sends`-th request of one claim. `now` is when the response arrived.
#[must_use]
pub fn after(answer: Answer, sends: u32, now: Timestamp) -> After {
    match answer {
        Answer::Granted(grant) => After::Persist(grant),
        Answer::Failed(Failure::InvalidGrant(_)) => After::Reread,
        Answer::Failed(Failure::Unknown(_)) if sends < 2 => After::SendAgain,
        Answer::Failed(Failure::Unknown(_) | Failure::Unreachable(_)) => After::Release(None),
        Answer::Failed(Failure::Configuration(_)) => After::Release(Some(CONFIGURATION_PAUSE)),
        Answer::Failed(Failure::Limited(_, at)) => {
            After::Release(at.and_then(|at| Duration::try_from(at.duration_since(now)).ok()))
        }
    }
}

/// What follows a write of the result that met another version of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Write again, based on that version: it holds no newer login.
    WriteAgain,
    /// The result is already stored: only the response to the write was lost.
    Stored,
    /// A person has logged in or out meanwhile: forget the result, and revoke it if [`may_revoke`].
    TheirsWins,
}

/// Decides between `ours`, the result of spending `sent`, and the `stored` content of the Secret. `is_spent` knows all refresh
/// tokens that this process has spent or seen replaced.
#[must_use]
pub fn conflict(
    ours: &Login,
    sent: &SecretString,
    stored: Option<&Login>,
    is_spent: impl Fn(&SecretString) -> bool,
) -> Conflict {
    let stored = stored.and_then(|login| Some((login, login.refresh_token.as_ref()?)));
    // No Secret, or an empty one: a person has logged out.
    let Some((login, token)) = stored else { return Conflict::TheirsWins };
    let same = |one: &Option<SecretString>, other: &Option<SecretString>| {
        one.as_ref().map(ExposeSecret::expose_secret) == other.as_ref().map(ExposeSecret::expose_secret)
    };
    if same(&login.refresh_token, &ours.refresh_token) && same(&login.access_token, &ours.access_token) {
        return Conflict::Stored;
    }
    // The content from before the refresh, with another label, say, or an older one that a backup or Git put back.
    if token.expose_secret() == sent.expose_secret() || is_spent(token) {
        return Conflict::WriteAgain;
    }
    Conflict::TheirsWins
}

/// Returns the claim of another process, which the write of a result keeps: this process stood still until its own claim was
/// over, and the other one may be sending.
#[must_use]
pub fn others_claim(login: &Login, me: &str) -> Option<Claim> {
    login.claim.clone().filter(|claim| claim.holder != me)
}

/// What a process knows about its result when [`Conflict::TheirsWins`].
#[derive(Clone, Copy, Debug)]
pub struct Replaced<'a> {
    /// The content of the Secret; `None` if there is no Secret.
    pub stored: Option<&'a Login>,
    /// The name of this process.
    pub me: &'a str,
    /// How long ago this process wrote its claim.
    pub claimed_for: Duration,
    /// [`claim_length`].
    pub claim_length: Duration,
    /// A write of the result got no clear reply.
    pub may_be_stored: bool,
}

/// Returns whether to revoke a result that is not stored. A revocation ends all tokens of its login, so the Secret must not
/// hold tokens that another process obtained from the result, or from the refresh token that was sent. The latter is possible
/// after the end of the claim, or if the writer of the Secret left the claim in it, which no login of a person does.
#[must_use]
pub fn may_revoke(replaced: &Replaced<'_>) -> bool {
    let Some(stored) = replaced.stored.filter(|login| login.refresh_token.is_some()) else {
        return true;
    };
    let is_claimed = stored.claim.as_ref().is_some_and(|claim| claim.holder == replaced.me);
    !replaced.may_be_stored && !is_claimed && replaced.claimed_for < replaced.claim_length
}

#[cfg(test)]
mod tests;
