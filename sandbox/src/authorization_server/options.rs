//! What a test can change about a running authorization server.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// What a refresh does with the refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshTokens {
    /// Replaces it, and ends the old one and the old access token.
    #[default]
    Rotate,
    /// Returns the same one. Older access tokens remain good until they expire.
    Keep,
    /// Keeps it as [`Self::Keep`] does, and leaves it out of the answer (RFC 6749, section 6).
    Omit,
}

/// The options of a running server. The default is a server that rotates refresh tokens without a grace period.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Options {
    refresh_tokens: RefreshTokens,
    #[serde(rename = "grace-period-ms")]
    grace_period_ms: u64,
    members: Vec<Member>,
    body: Option<Body>,
}

#[derive(Clone, Debug, Serialize)]
struct Member {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body {
    content_type: String,
    text: String,
}

impl Options {
    /// Sets what a refresh does with the refresh token.
    #[must_use]
    pub fn refresh_tokens(mut self, refresh_tokens: RefreshTokens) -> Self {
        self.refresh_tokens = refresh_tokens;
        self
    }

    /// Accepts a spent refresh token for this long after its first use. Each use returns new tokens.
    #[must_use]
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.grace_period_ms = u64::try_from(grace_period.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets a member of all successful answers of the token endpoint, such as `expires_in` to `"60"`, 0, -1 or `1e300`.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.members.push(Member { name: member.to_owned(), value: Some(value) });
        self
    }

    /// Removes a member from all successful answers of the token endpoint, such as `expires_in` or `token_type`.
    #[must_use]
    pub fn without(mut self, member: &str) -> Self {
        self.members.push(Member { name: member.to_owned(), value: None });
        self
    }

    /// Sends this in place of all successful answers of the token endpoint, with status 200 and after their effect.
    #[must_use]
    pub fn body(mut self, content_type: &str, text: &str) -> Self {
        self.body = Some(Body { content_type: content_type.to_owned(), text: text.to_owned() });
        self
    }
}
