//! The authorization request: a URL with `state` and a PKCE challenge.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Options;
use crate::error::Error;

/// The secret that binds the code to this process (RFC 7636).
pub(crate) struct Pkce(SecretString);

impl Pkce {
    /// Draws a verifier with 256 bits of randomness.
    pub(super) fn new() -> Result<Self, Error> {
        random().map(|verifier| Self(verifier.into()))
    }

    /// Returns the verifier, which only the token endpoint may see.
    pub(crate) fn verifier(&self) -> &SecretString {
        &self.0
    }

    /// Returns the challenge of the method `S256`.
    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes()))
    }
}

/// Returns 256 bits of randomness in 43 characters that need no encoding in a URL.
pub(super) fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::Login("the system has no random numbers".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the URL for the browser. A query of the authorization endpoint stays (RFC 6749, section 3.1).
pub(super) fn url(options: &Options<'_>, redirect_uri: &str, state: &str, pkce: &Pkce) -> Url {
    let mut url = options.url.url().clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", options.client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", state)
        .append_pair("code_challenge", &pkce.challenge())
        .append_pair("code_challenge_method", "S256")
        .extend_pairs(options.scopes.map(|scopes| ("scope", scopes)));
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::time::Duration;

    use cde_operator::oauth::EndpointUrl;

    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_the_standards_example() {
        let pkce = Pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(pkce.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_url_keeps_the_query_of_the_endpoint_and_has_no_verifier() {
        let endpoint =
            EndpointUrl::parse("--authorization-url", "https://login.example.com/authorize?tenant=1")
                .unwrap();
        let options = Options {
            url: &endpoint,
            client_id: "c&d",
            scopes: Some("a b"),
            issuer: None,
            port: 0,
            opens_browser: false,
            limit: Duration::ZERO,
        };
        let pkce = Pkce("canary-verifier".into());
        let url = url(&options, "http://127.0.0.1:7/callback", "s", &pkce);
        let expected = "https://login.example.com/authorize?tenant=1&response_type=code&client_id=c%26d\
            &redirect_uri=http%3A%2F%2F127.0.0.1%3A7%2Fcallback&state=s&code_challenge=";
        assert!(url.as_str().starts_with(expected), "{url}");
        assert!(url.as_str().ends_with("&code_challenge_method=S256&scope=a+b"), "{url}");
        assert!(!url.as_str().contains("canary"), "{url}");
    }

    #[test]
    fn no_two_logins_have_the_same_secrets() {
        let [one, other] = [random(), random()].map(Result::unwrap);
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
    }
}
