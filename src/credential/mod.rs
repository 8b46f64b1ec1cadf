//! The credential for the CDE API: a token file that others replace, or a login that this operator keeps alive.
//!
//! Client, circuit breaker and reconciliation do not know which mode is on: they use [`Credential`].
//!
//! - [`protocol`]: the decisions of a refresh, as pure functions.
//! - [`session`]: the access token of the login mode, and who waits for it.
//! - `refresher`: watches the Secret and refreshes the login.
//! - `store`: the Secret at the API server.

mod check;
mod metrics;
pub mod protocol;
mod refresher;
pub mod session;
mod store;

use std::sync::Arc;

use tokio::sync::watch;

use crate::cde::{Access, Token, TokenFile};

pub use check::check_secret;
pub use metrics::{LoginMetrics, RefreshMetrics};
pub use refresher::{Refresher, Settings};
pub use session::{Session, UnderWay};

/// The credential for the CDE API.
#[derive(Debug)]
pub enum Credential {
    /// A token file that others replace.
    File(TokenFile),
    /// A login that the operator refreshes.
    Login(Arc<Session>),
}

impl Credential {
    /// Returns the present token.
    #[must_use]
    pub fn current(&self) -> Token {
        match self {
            Self::File(file) => file.current(),
            Self::Login(session) => session.current(),
        }
    }

    /// Returns the token for a call. A refresh waits until the guard is dropped, but not for long.
    pub fn begin(&self) -> (Token, Option<UnderWay>) {
        match self {
            Self::File(file) => (file.current(), None),
            Self::Login(session) => {
                let (token, call) = session.clone().begin();
                (token, Some(call))
            }
        }
    }

    /// Waits while the token is being replaced.
    pub async fn usable(&self) {
        match self {
            Self::File(_) => {}
            Self::Login(session) => session.usable().await,
        }
    }

    /// Notes that the CDE API rejected `token`. Returns whether it has been replaced since, or is being replaced now.
    pub fn rejected(&self, token: &Token) -> bool {
        match self {
            Self::File(file) => {
                file.reload();
                file.current().generation() != token.generation()
            }
            Self::Login(session) => session.rejected(token),
        }
    }

    /// Returns whether `token` is still the one in use.
    #[must_use]
    pub fn is_current(&self, token: &Token) -> bool {
        self.current().generation() == token.generation()
    }

    /// Returns a receiver that is notified of each change.
    #[must_use]
    pub fn access(&self) -> watch::Receiver<Access> {
        match self {
            Self::File(file) => file.access(),
            Self::Login(session) => session.access(),
        }
    }

    /// Returns why there is no usable token and what to do, if a person must act.
    #[must_use]
    pub fn login_required(&self) -> Option<Arc<str>> {
        match self {
            Self::File(_) => None,
            Self::Login(session) => session.access().borrow().login_required.clone(),
        }
    }
}
