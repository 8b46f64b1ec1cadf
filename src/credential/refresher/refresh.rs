//! One refresh: claim, spend, persist, use.

use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::oauth::{Answer, Grant, Login};
use crate::operation::backoff;
use crate::runtime::clock;

use super::super::metrics::{NOT_STORED, REFRESHED};
use super::super::protocol::{
    After, CALLS_END, Conflict, Replaced, SEND_AGAIN_AFTER, after, claim, claim_length, conflict, may_revoke,
    may_send, others_claim,
};
use super::super::session::Held;
use super::super::store::{Stored, Unstored};
use super::{NOT_PERMITTED_PAUSE, RETRY, Refresher};

/// First and longest pause between writes of the result.
const PERSIST_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A stored claim.
struct Claimed {
    /// The version of the Secret that has it.
    base: Stored,
    /// The refresh token that may be spent.
    sent: SecretString,
    /// When it was written: before others can have seen it.
    at: Instant,
}

/// What spending the refresh token brought.
enum Spent {
    Granted(Grant, Held),
    /// The authorization server rejects the refresh token.
    Rejected,
    /// Try again later.
    Nothing(Option<Duration>),
}

impl Refresher {
    /// Makes one attempt, and uses its result.
    pub(super) async fn refresh(&mut self) {
        let Some(claimed) = self.claim().await else { return };
        match self.spend(&claimed).await {
            Spent::Granted(grant, held) => self.persist(claimed, grant, held).await,
            Spent::Rejected => self.reread(&claimed.sent).await,
            Spent::Nothing(wait) => {
                self.unclaim(claimed.base).await;
                self.pause(wait);
            }
        }
    }

    /// Stores a claim.
    async fn claim(&mut self) -> Option<Claimed> {
        let base = self.stored.clone()?;
        let sent = base.login.refresh_token.clone()?;
        let at = clock::monotonic();
        let mine = claim(&self.me, clock::now(), claim_length(self.settings.timeout));
        match self.store.set_claim(&base, Some(&mine)).await {
            // The patch is conditional, so the refresh token is still the one that was read.
            Ok(claimed) => {
                self.note_claim(claimed.login.claim.as_ref());
                self.stored = Some(claimed.clone());
                return Some(Claimed { base: claimed, sent, at });
            }
            Err(Unstored::Conflict) => match self.store.read().await {
                Ok(stored) => self.adopt(stored),
                Err(_) => self.pause(None),
            },
            Err(Unstored::Gone) => self.stored = None,
            Err(Unstored::Refused(why)) => {
                self.metrics.count(NOT_STORED);
                self.not_permitted(&format!("cannot be patched ({why})"));
                self.pause(Some(NOT_PERMITTED_PAUSE));
            }
            Err(Unstored::Unclear(why)) => {
                self.metrics.count(NOT_STORED);
                tracing::warn!(error = why, "the refresh of the CDE login could not be claimed; retrying");
                self.pause(None);
            }
        }
        None
    }

    /// Waits until the calls to the CDE API that are under way have ended, because the server may end their token. Then sends
    /// the refresh token, and once more if it is unknown whether it was spent. New calls wait for the first response.
    async fn spend(&mut self, claimed: &Claimed) -> Spent {
        let mut held = Some(self.session.clone().hold());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Spent::Nothing(None),
            () = self.session.idle() => {}
            // The CDE API may reject the calls that are left. They wait for the outcome then.
            () = tokio::time::sleep(CALLS_END) => {}
        }
        let mut sends = 0;
        loop {
            if !may_send(claimed_for(claimed.at), self.settings.timeout) {
                tracing::warn!("the claim of a refresh ended before the refresh token was sent; retrying");
                return Spent::Nothing(None);
            }
            sends += 1;
            let (endpoint, scopes) = (&self.settings.endpoint, self.settings.scopes.as_deref());
            let answer = endpoint.refresh(&claimed.sent, scopes, clock::now()).await;
            if let Answer::Failed(failure) = &answer {
                self.announce_failure(failure);
            }
            match after(answer, sends, clock::now()) {
                After::Persist(grant) => {
                    let held = held.unwrap_or_else(|| self.session.clone().hold());
                    return Spent::Granted(grant, held);
                }
                After::Reread => return Spent::Rejected,
                After::Release(wait) => return Spent::Nothing(wait),
                After::SendAgain => {
                    // The access token may still be good.
                    drop(held.take());
                    // A stop leaves no time for a second request: the next process makes it.
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return Spent::Nothing(None),
                        () = tokio::time::sleep(SEND_AGAIN_AFTER) => {}
                    }
                }
            }
        }
    }

    /// Writes the result until it is stored, or a person has logged in meanwhile, and uses it then. New calls wait, because
    /// the old access token may have ended.
    async fn persist(&mut self, claimed: Claimed, grant: Grant, held: Held) {
        let Claimed { mut base, ref sent, at } = claimed;
        let mut held = Some(held);
        let mut ours = Login::granted(grant, Some(sent), clock::now());
        if !ours.has_refresh_token(sent) {
            self.mark_spent(sent);
        }
        let mut writes = 0;
        // A write without a reply may be stored, and another process may have refreshed its result.
        let mut may_be_stored = false;
        loop {
            writes += 1;
            ours.claim = others_claim(&base.login, &self.me);
            match self.store.write(&base, &ours).await {
                Ok(stored) => return self.stored_ours(stored, ours),
                Err(Unstored::Conflict | Unstored::Gone) => match self.store.read().await {
                    Ok(stored) => {
                        let login = stored.as_ref().map(|stored| &stored.login);
                        match (conflict(&ours, sent, login, |token| self.is_spent(token)), stored) {
                            (Conflict::WriteAgain, Some(stored)) => {
                                base = stored;
                                continue;
                            }
                            (Conflict::Stored, Some(stored)) => return self.stored_ours(stored, ours),
                            (_, stored) => {
                                let useless = self.may_revoke(stored.as_ref(), at, may_be_stored);
                                let useless = ours.refresh_token.filter(|_| useless);
                                return self.yield_to(stored, useless).await;
                            }
                        }
                    }
                    Err(error) => self.not_stored(&error, writes),
                },
                Err(error) => {
                    may_be_stored |= matches!(error, Unstored::Unclear(_));
                    self.not_stored(&error, writes);
                    if matches!(error, Unstored::Refused(_)) {
                        // Only a person can change that. A call with the old access token shows what is wrong.
                        drop(held.take());
                    }
                }
            }
            let (min, max) = PERSIST_RETRY;
            tokio::time::sleep(backoff(writes, min, max, f64::midpoint(1.0, clock::jitter()))).await;
        }
    }

    fn stored_ours(&mut self, stored: Stored, ours: Login) {
        self.note_claim(stored.login.claim.as_ref());
        self.stored = Some(stored);
        self.metrics.count(REFRESHED);
        tracing::info!(expires_at = ours.expires_at.map(tracing::field::display), "refreshed the CDE login");
        self.use_login(ours, false);
    }

    /// Returns whether the result, which something else replaces, is of no use to anyone.
    fn may_revoke(&self, stored: Option<&Stored>, claimed_at: Instant, may_be_stored: bool) -> bool {
        may_revoke(&Replaced {
            stored: stored.map(|stored| &stored.login),
            me: &self.me,
            claimed_for: claimed_for(claimed_at),
            claim_length: claim_length(self.settings.timeout),
            may_be_stored,
        })
    }

    /// Forgets the result, because a person has logged in or out, or another process has refreshed the login. Revokes its
    /// refresh token if it is `useless`.
    async fn yield_to(&mut self, stored: Option<Stored>, useless: Option<SecretString>) {
        tracing::info!("a new CDE login replaces the refreshed one");
        self.adopt(stored);
        self.unclaim_own().await;
        if let (Some(url), Some(token)) = (&self.settings.revocation_url, &useless)
            && let Err(why) = self.settings.endpoint.revoke(url, token).await
        {
            tracing::warn!(error = why, "the replaced CDE login could not be revoked; it ends by itself");
        }
    }

    /// Reports that the result is not stored yet.
    fn not_stored(&mut self, error: &Unstored, writes: u32) {
        self.metrics.count(NOT_STORED);
        match error {
            Unstored::Refused(why) => self.not_permitted(&format!("cannot be patched ({why})")),
            Unstored::Unclear(why) if writes == 1 => {
                tracing::warn!(error = why, "the refreshed CDE login is not stored yet; retrying");
            }
            _ => {}
        }
    }

    /// Reads the Secret once more after the authorization server has rejected its refresh token.
    async fn reread(&mut self, sent: &SecretString) {
        let mut reads = 0;
        let stored = loop {
            match self.store.read().await {
                Ok(stored) => break stored,
                Err(_) if self.stop.is_cancelled() => return,
                Err(error) => {
                    if let Unstored::Refused(why) = error {
                        self.not_permitted(&format!("cannot be read ({why})"));
                    }
                    reads += 1;
                    tokio::time::sleep(backoff(reads, RETRY.0, RETRY.1, clock::jitter())).await;
                }
            }
        };
        self.mark_spent(sent);
        self.adopt(stored);
        self.unclaim_own().await;
    }

    /// Removes the claim of this process, if the Secret has it. Another process may have claimed the same refresh token, if
    /// this one stood still.
    async fn unclaim_own(&mut self) {
        let is_own =
            |stored: &&Stored| stored.login.claim.as_ref().is_some_and(|claim| claim.holder == self.me);
        if let Some(stored) = self.stored.as_ref().filter(is_own) {
            self.unclaim(stored.clone()).await;
        }
    }

    /// Removes the claim, so that nobody waits for its end. Without it, others wait.
    async fn unclaim(&mut self, claimed: Stored) {
        match self.store.set_claim(&claimed, None).await {
            Ok(stored) => {
                self.claim = None;
                self.stored = Some(stored);
            }
            Err(Unstored::Conflict) => {
                if let Ok(stored) = self.store.read().await {
                    self.adopt(stored);
                }
            }
            Err(_) => tracing::debug!("the claim of a refresh could not be removed; it ends by itself"),
        }
    }
}

fn claimed_for(at: Instant) -> Duration {
    clock::monotonic().duration_since(at)
}
