//! The login as a Kubernetes Secret.
//!
//! `kubectl cde login` and the operator write the Secret, and nobody else. [`key`] lists its keys.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::answer::Grant;

use key::{ACCESS_TOKEN, CLAIM, EXPIRES_AT, OBTAINED_AT, REFRESH_TOKEN};

/// The value of the label `app.kubernetes.io/managed-by`.
pub const MANAGED_BY: &str = "cde-operator";
/// The type of the Secret.
pub const SECRET_TYPE: &str = "Opaque";

/// The keys of the Secret.
pub mod key {
    /// The bearer token of the CDE API.
    pub const ACCESS_TOKEN: &str = "access_token";
    /// The token that obtains the next access token.
    pub const REFRESH_TOKEN: &str = "refresh_token";
    /// When the access token expires (RFC 3339); absent if unknown.
    pub const EXPIRES_AT: &str = "expires_at";
    /// When the tokens were obtained (RFC 3339).
    pub const OBTAINED_AT: &str = "obtained_at";
    /// While a refresh is under way: who makes it, and until when (JSON).
    pub const CLAIM: &str = "claim";
    /// All of them.
    pub const ALL: [&str; 5] = [ACCESS_TOKEN, REFRESH_TOKEN, EXPIRES_AT, OBTAINED_AT, CLAIM];
}

/// The intent of one process to spend the refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The process.
    pub holder: String,
    /// When others may ignore it, by the clock of the holder. Others wait by their own clocks.
    pub until: Timestamp,
}

/// The content of the Secret. Unusable values count as absent.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The access token. It is a valid header value.
    pub access_token: Option<SecretString>,
    /// The refresh token.
    pub refresh_token: Option<SecretString>,
    /// When the access token expires, by the clock of the writer.
    pub expires_at: Option<Timestamp>,
    /// When the tokens were obtained, by the clock of the writer.
    pub obtained_at: Option<Timestamp>,
    /// The refresh under way.
    pub claim: Option<Claim>,
}

impl Login {
    /// Reads the data of a Secret.
    #[must_use]
    pub fn read(data: &BTreeMap<String, ByteString>) -> Self {
        let text = |key: &str| {
            let text = std::str::from_utf8(&data.get(key)?.0).ok()?.trim();
            (!text.is_empty()).then_some(text)
        };
        let token = |key: &str| {
            let is_token = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
            text(key).filter(is_token).map(SecretString::from)
        };
        Self {
            access_token: token(ACCESS_TOKEN),
            refresh_token: token(REFRESH_TOKEN),
            expires_at: text(EXPIRES_AT).and_then(|text| text.parse().ok()),
            obtained_at: text(OBTAINED_AT).and_then(|text| text.parse().ok()),
            claim: text(CLAIM).and_then(|text| serde_json::from_str(text).ok()),
        }
    }

    /// Returns the login that follows a grant at `now`. `spent` is the refresh token that was sent, which stays in use if the
    /// server sent no other one.
    #[must_use]
    pub fn granted(grant: Grant, spent: Option<&SecretString>, now: Timestamp) -> Self {
        let expires_at = grant.lifetime.and_then(|lifetime| now.checked_add(lifetime).ok());
        Self {
            access_token: Some(grant.access_token),
            refresh_token: grant.refresh_token.or_else(|| spent.cloned()),
            expires_at,
            obtained_at: Some(now),
            claim: None,
        }
    }

    /// Returns all keys for `data` of a merge patch: absent values are `null`, which removes their keys.
    #[must_use]
    pub fn patch(&self) -> serde_json::Map<String, serde_json::Value> {
        let data = self.data();
        let encoded = |key: &str| serde_json::to_value(data.get(key)).unwrap_or_default();
        key::ALL.into_iter().map(|key| (key.to_owned(), encoded(key))).collect()
    }

    /// Returns the data of a Secret.
    #[must_use]
    pub fn data(&self) -> BTreeMap<String, ByteString> {
        let secret =
            |token: &Option<SecretString>| token.as_ref().map(|token| token.expose_secret().to_owned());
        let values = [
            (ACCESS_TOKEN, secret(&self.access_token)),
            (REFRESH_TOKEN, secret(&self.refresh_token)),
            (EXPIRES_AT, self.expires_at.map(|time| time.to_string())),
            (OBTAINED_AT, self.obtained_at.map(|time| time.to_string())),
            (CLAIM, self.claim.as_ref().and_then(|claim| serde_json::to_string(claim).ok())),
        ];
        let present = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
        present.map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect()
    }

    /// Returns how long the access token was valid when it was obtained; `None` if unknown.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        let lifetime = self.expires_at?.duration_since(self.obtained_at?);
        Duration::try_from(lifetime).ok().filter(|lifetime| !lifetime.is_zero())
    }

    /// Returns whether both have the same refresh token.
    #[must_use]
    pub fn has_refresh_token(&self, token: &SecretString) -> bool {
        self.refresh_token.as_ref().is_some_and(|own| own.expose_secret() == token.expose_secret())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-08T08:49:07Z".parse().unwrap()
    }

    fn login() -> Login {
        Login {
            access_token: Some("canary-a".into()),
            refresh_token: Some("canary-r".into()),
            expires_at: Some(now() + Duration::from_hours(1)),
            obtained_at: Some(now()),
            claim: Some(Claim { holder: "pod-1".to_owned(), until: now() }),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let read = Login::read(&login().data());
        assert_eq!(read.data(), login().data());
        assert_eq!(read.lifetime(), Some(Duration::from_hours(1)));
        assert_eq!(Login::read(&BTreeMap::new()).data(), BTreeMap::new());
    }

    #[test]
    fn a_patch_removes_the_keys_that_are_absent() {
        let patch = Login { claim: None, expires_at: None, ..login() }.patch();
        assert_eq!(patch.len(), key::ALL.len());
        assert!(patch[CLAIM].is_null() && patch[EXPIRES_AT].is_null(), "{patch:?}");
        assert_eq!(patch[ACCESS_TOKEN], "Y2FuYXJ5LWE=");
    }

    #[test]
    fn an_unusable_value_counts_as_absent() {
        let data = [(ACCESS_TOKEN, "a b"), (REFRESH_TOKEN, " \n"), (EXPIRES_AT, "soon"), (CLAIM, "{}")];
        let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
        assert_eq!(Login::read(&data.into()).data(), BTreeMap::new());
        let data = BTreeMap::from([(REFRESH_TOKEN.to_owned(), ByteString(vec![0xff]))]);
        assert!(Login::read(&data).refresh_token.is_none());
    }

    #[test]
    fn a_grant_without_a_refresh_token_keeps_the_one_that_was_sent() {
        let grant = Grant { access_token: "a".into(), refresh_token: None, lifetime: None };
        let kept = Login::granted(grant, Some(&"r".into()), now());
        assert!(kept.has_refresh_token(&"r".into()) && kept.expires_at.is_none() && kept.claim.is_none());
    }

    #[test]
    fn no_debug_output_shows_a_token() {
        assert!(!format!("{:?}", login()).contains("canary"));
    }
}
