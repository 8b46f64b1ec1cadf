//! The authorization server: grants, rotation, reuse detection, grace period, revocation.

use super::state::{Number, Numbers, Tokens};

/// More grants than any history of the scenarios has.
pub(crate) const GRANTS: usize = 16;

/// A kind of authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each refresh spends its refresh token and ends the old access token at once. A second use revokes the login.
    Rotates,
    /// As `Rotates`, but a second use within the grace period brings another pair of tokens. Access tokens stay valid.
    GraceWithNewToken,
    /// As `GraceWithNewToken`, with the same next refresh token each time.
    GraceWithSameToken,
    /// The refresh token stays the same, and its answer has none. Access tokens stay valid.
    Keeps,
}

/// The server's reply to a request that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The tokens of the answer: an absent refresh token keeps the one that was sent.
    Granted { access: Number, refresh: Option<Number> },
    /// `invalid_grant`.
    Invalid,
}

/// What the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    issued: Number,
    /// The login of each grant: 0 is the first one.
    logins: [u8; GRANTS],
    /// The refresh token of each grant.
    refresh: [Number; GRANTS],
    /// The newest grant of each login.
    newest: [Number; 4],
    /// The refresh token that followed each one, where it matters.
    successors: [Number; GRANTS],
    spent: Numbers,
    in_grace: Numbers,
    /// The revoked logins.
    revoked: Numbers,
}

impl Server {
    /// Returns a server that has granted one login, number 0.
    pub(crate) fn new() -> Self {
        let (spent, in_grace, revoked) = Default::default();
        let (logins, refresh, successors) = ([0; GRANTS], [0; GRANTS], [0; GRANTS]);
        Self { issued: 1, logins, refresh, newest: [0; 4], successors, spent, in_grace, revoked }
    }

    /// A person logs in.
    pub(crate) fn log_in(&mut self) -> Tokens {
        let login = self.newest_login() + 1;
        let access = self.issue(login);
        self.refresh[usize::from(access)] = access;
        self.tokens(access)
    }

    /// Returns the reply to a request with this refresh token, and whether the token was used again.
    pub(crate) fn handle(&mut self, kind: Kind, token: Number) -> (Reply, bool) {
        let login = self.login_of(token);
        let is_spent = self.spent.contains(token);
        if self.revoked.contains(login) {
            return (Reply::Invalid, is_spent);
        }
        if is_spent && !self.in_grace.contains(token) {
            self.revoked.insert(login);
            return (Reply::Invalid, true);
        }
        let access = self.issue(login);
        if kind == Kind::Keeps {
            self.refresh[usize::from(access)] = token;
            return (Reply::Granted { access, refresh: None }, false);
        }
        let same = is_spent && kind == Kind::GraceWithSameToken;
        let refresh = if same { self.successors[usize::from(token)] } else { access };
        self.refresh[usize::from(access)] = refresh;
        self.spent.insert(token);
        if kind != Kind::Rotates {
            self.in_grace.insert(token);
        }
        if kind == Kind::GraceWithSameToken {
            self.successors[usize::from(token)] = refresh;
        }
        (Reply::Granted { access, refresh: Some(refresh) }, is_spent)
    }

    fn issue(&mut self, login: u8) -> Number {
        let access = self.issued;
        assert!(usize::from(access) < GRANTS, "more grants than GRANTS allows for");
        self.issued += 1;
        self.logins[usize::from(access)] = login;
        self.newest[usize::from(login)] = access;
        access
    }

    /// Revokes the login of a refresh token.
    pub(crate) fn revoke(&mut self, token: Number) {
        self.revoked.insert(self.login_of(token));
    }

    pub(crate) fn has_grace(&self) -> bool {
        !self.in_grace.is_empty()
    }

    pub(crate) fn end_grace(&mut self) {
        self.in_grace = Numbers::default();
    }

    /// Returns the tokens of a grant.
    pub(crate) fn tokens(&self, access: Number) -> Tokens {
        Tokens { access, refresh: self.refresh[usize::from(access)] }
    }

    pub(crate) fn login_of(&self, token: Number) -> u8 {
        self.logins[usize::from(token)]
    }

    fn newest_login(&self) -> u8 {
        self.logins.into_iter().max().unwrap_or_default()
    }

    /// Returns whether the CDE API accepts the access token.
    pub(crate) fn accepts(&self, kind: Kind, access: Number) -> bool {
        let login = self.login_of(access);
        let replaced = kind == Kind::Rotates && self.newest[usize::from(login)] != access;
        !replaced && !self.revoked.contains(login)
    }

    /// Returns whether a refresh token would bring new tokens, without any grace.
    pub(crate) fn is_live(&self, refresh: Number) -> bool {
        !self.spent.contains(refresh) && !self.revoked.contains(self.login_of(refresh))
    }
}
