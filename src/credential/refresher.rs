//! Watches the Secret and refreshes the login: claim, spend, persist, use. [`protocol`] decides.

mod announce;
mod refresh;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::oauth::{Claim, EndpointUrl, Login, TokenEndpoint};
use crate::operation::backoff;
use crate::runtime::clock;
use crate::runtime::events::Events;

use super::metrics::RefreshMetrics;
use super::protocol::{self, Known, Next, claim_length, due_after, standby_patience};
use super::session::{NewToken, Problem, Session};
use super::store::{SecretStore, Seen, Stored};

/// First and longest pause after an attempt that failed without an answer or with a 5xx.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// The pause after the API server refused a patch, which only a person can change.
const NOT_PERMITTED_PAUSE: Duration = Duration::from_mins(1);
/// How long to sleep if nothing is due. The Secret's watch wakes the refresher earlier.
const IDLE: Duration = Duration::from_hours(1);

/// The configuration of the login mode.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub secret: String,
    /// The token endpoint.
    pub endpoint: TokenEndpoint,
    /// Where tokens are revoked that a new login made useless.
    pub revocation_url: Option<EndpointUrl>,
    /// The scopes of a refresh; none keeps those of the login.
    pub scopes: Option<String>,
    /// The lifetime of an access token of unknown lifetime.
    pub assume_lifetime: Duration,
    /// The timeout of one call to the token endpoint.
    pub timeout: Duration,
}

/// Keeps one login alive.
pub struct Refresher {
    pub(super) session: Arc<Session>,
    store: SecretStore,
    settings: Settings,
    /// The name of this process in claims.
    me: String,
    /// Whether this process makes calls, or stands by.
    leads: watch::Receiver<bool>,
    events: Events,
    metrics: RefreshMetrics,
    /// A refresh under way ends before the process does.
    tracker: TaskTracker,
    stop: CancellationToken,
    stored: Option<Stored>,
    /// The Secret was read once: what appears now is new.
    listed: bool,
    /// Why changes of the Secret are not seen.
    watch_refused: Option<String>,
    /// Digests of the refresh tokens that are spent, replaced or rejected.
    spent: HashSet<[u8; 32]>,
    /// The claim in the Secret, and when this process first saw it.
    claim: Option<(Claim, Instant)>,
    /// When the leader refreshes.
    due: Instant,
    /// The lifetime of the access token.
    lifetime: Duration,
    pause_until: Option<Instant>,
    failures: u32,
}

impl Refresher {
    /// Returns a refresher that has not read the Secret yet. `clients`: one for short requests, and one for watches.
    #[must_use]
    pub fn new(
        session: Arc<Session>,
        settings: Settings,
        clients: (Client, Client),
        (events, metrics): (Events, RefreshMetrics),
        (tracker, stop): (TaskTracker, CancellationToken),
        (me, leads): (&str, watch::Receiver<bool>),
    ) -> Self {
        let store = SecretStore::new(clients.0, clients.1, &settings.namespace, &settings.secret);
        let due = clock::monotonic();
        Self {
            session,
            store,
            settings,
            me: me.to_owned(),
            leads,
            events,
            metrics,
            tracker,
            stop,
            stored: None,
            listed: false,
            watch_refused: None,
            spent: HashSet::new(),
            claim: None,
            due,
            lifetime: Duration::ZERO,
            pause_until: None,
            failures: 0,
        }
    }

    /// Keeps the login alive until the operator stops. A refresh under way is finished.
    pub async fn run(mut self) {
        let mut watch = self.store.watch();
        // Calls wait for the first list, or for the answer that there will be none.
        if let Some(seen) = watch.next().await {
            self.see(seen);
        }
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let wait = match self.next() {
                Next::Claim => {
                    let tracker = self.tracker.clone();
                    tracker.track_future(self.refresh()).await;
                    continue;
                }
                Next::LoginRequired => {
                    self.require_login();
                    IDLE
                }
                Next::Wait(wait) => wait,
            };
            let mut leading = self.leads.clone();
            let leads = *leading.borrow();
            // What a rejection asked for does not happen now.
            self.session.release();
            tokio::select! {
                seen = watch.next() => seen.into_iter().for_each(|seen| self.see(seen)),
                () = self.session.asked() => self.due = clock::monotonic(),
                _ = leading.wait_for(|leads| *leads), if !leads => {}
                () = tokio::time::sleep(wait.min(IDLE)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn next(&self) -> Next {
        let now = clock::monotonic();
        let login = self.stored.as_ref().map(|stored| &stored.login);
        let token = login.and_then(|login| login.refresh_token.as_ref());
        let due = if self.session.is_asked() { now } else { self.due + self.patience() };
        protocol::next(&Known {
            login,
            is_spent: token.is_some_and(|token| self.is_spent(token)),
            me: &self.me,
            claim_seen_for: self
                .claim
                .as_ref()
                .map_or(Duration::ZERO, |(_, since)| now.duration_since(*since)),
            claim_length: claim_length(self.settings.timeout),
            due_in: due.saturating_duration_since(now),
            pause: self.pause_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)),
        })
    }

    /// Returns how much later than the leader this process refreshes.
    fn patience(&self) -> Duration {
        if *self.leads.borrow() { Duration::ZERO } else { standby_patience(self.lifetime) }
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Now(stored) => {
                self.watch_refused = None;
                self.adopt(stored);
                self.listed = true;
            }
            Seen::Refused(why) => {
                // What is known is used meanwhile.
                tracing::warn!(error = why, "the Secret of the CDE login cannot be watched");
                self.watch_refused = Some(why);
            }
        }
    }

    /// Takes over a version of the Secret, and uses its access token unless the login in it is an old one.
    fn adopt(&mut self, stored: Option<Stored>) {
        if let (Some(new), Some(old)) = (&stored, &self.stored)
            && new.is_older(old)
        {
            return;
        }
        let login = stored.as_ref().map(|stored| stored.login.clone()).unwrap_or_default();
        self.note_claim(login.claim.as_ref());
        let before =
            std::mem::replace(&mut self.stored, stored).and_then(|before| before.login.refresh_token);
        let is_old = login.refresh_token.as_ref().is_some_and(|token| self.is_spent(token));
        let is_empty = login.refresh_token.is_none() && login.access_token.is_none();
        if is_empty {
            // A person who logs out expects that no call follows, although the access token may still be good.
            self.session.forget();
            return self.require_login();
        }
        if is_old {
            return;
        }
        let replaced = before.filter(|before| !login.has_refresh_token(before));
        let is_known = replaced.is_none() && self.session.has_text(login.access_token.as_ref());
        if let Some(replaced) = replaced {
            self.mark_spent(&replaced);
        }
        if !is_known {
            self.use_login(login, !self.listed);
        }
    }

    /// Uses the access token of `login`, which was `there_before` this process looked, or has just appeared.
    fn use_login(&mut self, login: Login, there_before: bool) {
        let now = clock::monotonic();
        let lifetime = login.lifetime().unwrap_or(self.settings.assume_lifetime);
        let age_when_due = due_after(lifetime, clock::jitter());
        self.lifetime = lifetime;
        let age = if there_before { age(&login, lifetime) } else { Duration::ZERO };
        self.due = now + age_when_due.saturating_sub(age);
        (self.failures, self.pause_until) = (0, None);
        self.announce_recovery();
        let Some(text) = login.access_token else {
            // A refresh obtains one.
            self.due = now;
            self.session.set_problem(None);
            return;
        };
        self.session.replace(NewToken {
            text,
            appeared: (!there_before).then_some(now),
            lifetime,
            expires_at: login.expires_at,
            obtained_at: login.obtained_at,
        });
    }

    fn note_claim(&mut self, claim: Option<&Claim>) {
        let same = |known: &(Claim, Instant)| Some(&known.0) == claim;
        if !self.claim.as_ref().is_some_and(same) {
            self.claim = claim.map(|claim| (claim.clone(), clock::monotonic()));
        }
    }

    fn is_spent(&self, token: &SecretString) -> bool {
        self.spent.contains(&fingerprint(token))
    }

    fn mark_spent(&mut self, token: &SecretString) {
        self.spent.insert(fingerprint(token));
    }

    /// Waits before the next attempt: as long as asked for, or a backoff with full jitter.
    fn pause(&mut self, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let wait = asked.unwrap_or_else(|| backoff(self.failures, RETRY.0, RETRY.1, clock::jitter()));
        self.pause_until = Some(clock::monotonic() + wait);
    }

    /// Reports that the API server does not let this operator keep the login.
    fn not_permitted(&mut self, why: &str) {
        let message =
            format!("The CDE login cannot be renewed: the Secret {} {why}.", self.store.full_name());
        self.announce_problem(Problem::NotPermitted(message));
    }

    fn require_login(&mut self) {
        if let Some(why) = self.watch_refused.clone().filter(|_| !self.listed) {
            return self.not_permitted(&format!("cannot be read ({why})"));
        }
        let has_login = self.stored.as_ref().is_some_and(|stored| {
            stored.login.refresh_token.is_some() || stored.login.access_token.is_some()
        });
        let mut message = if has_login {
            "The CDE login has expired or was revoked: run `kubectl cde login`.".to_owned()
        } else {
            format!("The Secret {} holds no CDE login: run `kubectl cde login`.", self.store.full_name())
        };
        if let Some(why) = &self.watch_refused {
            message = format!("{message} The operator will not see a new login: {why}.");
        }
        self.announce_problem(Problem::LoginRequired(message));
    }
}

/// Returns the age of an access token by the wall clock, which is all that a process knows after its start. A token that
/// seems to have more than its lifetime left comes from another clock. Its age is unknown, so it counts as old.
fn age(login: &Login, lifetime: Duration) -> Duration {
    let Some(expires_at) = login.expires_at else { return Duration::ZERO };
    let left = Duration::try_from(expires_at.duration_since(clock::now())).unwrap_or_default();
    lifetime.checked_sub(left).unwrap_or(lifetime)
}

fn fingerprint(token: &SecretString) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.expose_secret().as_bytes()).as_ref());
    bytes
}
