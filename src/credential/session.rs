//! The access token of the login mode, as calls to the CDE API see it.
//!
//! The [`Refresher`](super::refresher::Refresher) replaces the token. Calls wait while a refresh token is being spent,
//! because a server that rotates tokens ends the old access token at that moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Notify, watch};

use crate::cde::{Access, Token};
use crate::runtime::clock;

use super::protocol::young;

/// Why the login cannot be kept alive: a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A person must log in.
    LoginRequired(String),
    /// The Secret cannot be read or patched.
    NotPermitted(String),
}

impl Problem {
    /// Returns the sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::LoginRequired(message) | Self::NotPermitted(message) => message,
        }
    }
}

/// The access token of the login mode.
#[derive(Debug)]
pub struct Session {
    state: Mutex<State>,
    access: watch::Sender<Access>,
    held: watch::Sender<bool>,
    /// How many calls are under way.
    calls: watch::Sender<usize>,
    asked: Notify,
}

#[derive(Debug)]
struct State {
    token: Token,
    /// How many tokens there have been.
    generation: u64,
    /// When this process saw the token appear; `None` if it was there before.
    appeared: Option<Instant>,
    lifetime: Duration,
    expires_at: Option<Timestamp>,
    obtained_at: Option<Timestamp>,
    /// The CDE API rejected the token, and a refresh was asked for because of that.
    asked: bool,
    /// The CDE API rejected the token, and nothing is under way.
    refused: bool,
    problem: Option<Problem>,
}

impl State {
    /// Returns the state without a token, after `generation` tokens.
    fn without_token(generation: u64) -> Self {
        Self {
            token: Token::absent(),
            generation,
            appeared: None,
            lifetime: Duration::ZERO,
            expires_at: None,
            obtained_at: None,
            asked: false,
            refused: false,
            problem: None,
        }
    }
}

impl Default for Session {
    /// Returns a session without a token. Calls wait until the Secret has been read.
    fn default() -> Self {
        Self {
            state: Mutex::new(State::without_token(0)),
            access: watch::Sender::new(Access::default()),
            held: watch::Sender::new(true),
            calls: watch::Sender::default(),
            asked: Notify::new(),
        }
    }
}

/// A new access token and what is known about it.
pub(super) struct NewToken {
    pub(super) text: SecretString,
    pub(super) appeared: Option<Instant>,
    pub(super) lifetime: Duration,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) obtained_at: Option<Timestamp>,
}

impl Session {
    pub(super) fn current(&self) -> Token {
        self.state().token.clone()
    }

    pub(super) async fn usable(&self) {
        // The sender lives as long as this session.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    /// Returns the token for a call, which is under way until the guard is dropped.
    pub(super) fn begin(self: Arc<Self>) -> (Token, UnderWay) {
        let token = self.current();
        self.calls.send_modify(|calls| *calls += 1);
        (token, UnderWay(self))
    }

    /// Waits until no call is under way.
    pub(super) async fn idle(&self) {
        // The sender lives as long as this session.
        let _ = self.calls.subscribe().wait_for(|calls| *calls == 0).await;
    }

    /// Notes that the CDE API rejected `token`. Returns whether another token is worth another attempt: there is one, or a
    /// refresh is under way or begins now.
    pub(super) fn rejected(&self, token: &Token) -> bool {
        let mut state = self.state();
        if token.generation() != state.token.generation() || *self.held.borrow() {
            return true;
        }
        let is_young =
            state.appeared.is_some_and(|at| clock::monotonic().duration_since(at) < young(state.lifetime));
        if state.problem.is_none() && !state.asked && !is_young {
            state.asked = true;
            self.held.send_replace(true);
            self.asked.notify_one();
            return true;
        }
        state.refused = true;
        self.publish(&state);
        false
    }

    pub(super) fn access(&self) -> watch::Receiver<Access> {
        self.access.subscribe()
    }

    /// Returns when a call asks for a refresh.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Returns whether the token in use is this one.
    pub(super) fn has_text(&self, token: Option<&SecretString>) -> bool {
        token.is_some_and(|token| self.state().token.is(token))
    }

    pub(super) fn is_asked(&self) -> bool {
        self.state().asked
    }

    /// Uses a new token, which ends all problems.
    pub(super) fn replace(&self, new: NewToken) {
        let mut state = self.state();
        let generation = state.generation + 1;
        *state = State {
            token: Token::new(new.text, generation),
            generation,
            appeared: new.appeared,
            lifetime: new.lifetime,
            expires_at: new.expires_at,
            obtained_at: new.obtained_at,
            asked: false,
            refused: false,
            problem: None,
        };
        self.publish(&state);
    }

    /// Makes no further call with the token: a person has logged out. The caller sets the problem, which is published.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        *state = State::without_token(state.generation);
    }

    pub(super) fn set_problem(&self, problem: Option<Problem>) {
        let mut state = self.state();
        state.problem = problem;
        // What the rejection asked for cannot happen.
        state.refused |= state.asked && state.problem.is_some();
        self.publish(&state);
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        self.state().problem.clone()
    }

    /// Makes new calls wait until the guard is dropped.
    pub(super) fn hold(self: Arc<Self>) -> Held {
        self.held.send_replace(true);
        Held(self)
    }

    /// Lets calls go on after nothing came of a refresh that a rejection asked for, or after the Secret was read.
    pub(super) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Returns when the token expires and when it was obtained, for metrics.
    #[must_use]
    pub fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let state = self.state();
        (state.expires_at, state.obtained_at)
    }

    /// Returns whether a person must log in, for metrics.
    #[must_use]
    pub fn is_login_required(&self) -> bool {
        matches!(self.state().problem, Some(Problem::LoginRequired(_)))
    }

    fn publish(&self, state: &State) {
        let is_unusable = state.refused || state.token.is_absent();
        let required = state.problem.as_ref().filter(|_| is_unusable);
        let access = Access {
            generation: state.generation,
            login_required: required.map(|problem| problem.message().into()),
        };
        self.access.send_if_modified(|before| {
            let changed = *before != access;
            *before = access;
            changed
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call is under way as long as this value lives.
#[derive(Debug)]
#[must_use]
pub struct UnderWay(Arc<Session>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls.send_modify(|calls| *calls = calls.saturating_sub(1));
    }
}

/// New calls wait as long as this value lives.
#[must_use]
pub(super) struct Held(Arc<Session>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release();
    }
}
