//! The URL of an endpoint of the authorization server.

use reqwest::Url;

use crate::http_client::{ConfigError, is_loopback};

/// The URL of an endpoint: `https`, or `http` for a loopback host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// Parses the value of the flag with this name, for example `--oauth-token-url`.
    ///
    /// # Errors
    /// Fails if `text` is not a URL, has another scheme, user info or a fragment (RFC 6749, section 3.2). The error does not
    /// quote `text`, which may contain a password.
    pub fn parse(flag: &str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError(format!("{flag} {why}")));
        let url = match Url::parse(text.trim()) {
            Ok(url) => url,
            Err(why) => {
                return refuse(&format!("is not a URL ({why}); write it as https://login.example.com/token"));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not contain a user or password; set the client ID with --oauth-client-id");
        }
        if url.fragment().is_some() {
            return refuse("must not contain a fragment; remove what begins with #");
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => refuse("would send credentials unencrypted to another host; use https"),
            _ => refuse("must begin with https://"),
        }
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Display for EndpointUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_have_a_query_and_is_encrypted_unless_its_host_is_loopback() {
        for text in
            ["https://login.example.com/token?tenant=1", "http://127.0.0.1:8080/token", "http://[::1]/token"]
        {
            assert_eq!(
                EndpointUrl::parse("--oauth-token-url", text).map(|it| it.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn an_unsafe_endpoint_is_rejected_without_quoting_its_password() {
        for (text, says) in [
            ("", "is not a URL"),
            ("https://user:hunter2@login.example.com/token", "must not contain a user"),
            ("https://login.example.com/token#hunter2", "fragment"),
            ("http://login.example.com/token", "use https"),
            ("ftp://127.0.0.1/token", "must begin with https://"),
        ] {
            let error = EndpointUrl::parse("--oauth-token-url", text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("--oauth-token-url ") && error.contains(says), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
