//! The base URL of the CDE API. The token is sent over TLS, or to a loopback host, unless the user allows plain HTTP.

use reqwest::Url;

use crate::http_client::is_loopback;

use super::ConfigError;

/// The base URL of the CDE API in canonical form: scheme, host, port unless it is the default, and path prefix, without
/// a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Parses an `https` URL, an `http` URL of a loopback host (`localhost`, 127.0.0.0/8, `::1`), or with `allow_http`
    /// any `http` URL.
    ///
    /// # Errors
    /// Fails if `text` is not a URL, has another scheme, user info, a query or a fragment, or uses `http` where it is
    /// not allowed. The error does not quote `text`, which may contain a password.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, ConfigError> {
        let refuse = |why: String| Err(ConfigError(format!("--url {why}")));
        let mut url = match Url::parse(text.trim()) {
            Ok(url) => url,
            Err(why) => {
                return refuse(format!("is not a URL ({why}); write it as https://cde.example.com"));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not contain a user or password; the token is read from --token-file".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must end with the host or a path; remove what begins with ? or #".into());
        }
        match url.scheme() {
            "https" => {}
            "http" if allow_http || is_loopback(&url) => {}
            "http" => {
                return refuse(
                    "would send the token unencrypted to another host; use https, or set --allow-http \
                     if the network is trusted"
                        .into(),
                );
            }
            _ => return refuse("must begin with https://".into()),
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Returns the URL as text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Returns the URL of a resource, with each segment percent-encoded. `None` if a segment would change the path: it is
    /// empty, `.` or `..`, or has control characters, some of which a URL drops.
    pub(super) fn join(&self, segments: &[&str]) -> Option<Url> {
        let is_invalid =
            |segment: &str| matches!(segment, "" | "." | "..") || segment.contains(char::is_control);
        if segments.iter().any(|segment| is_invalid(segment)) {
            return None;
        }
        let mut url = self.0.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(url)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn equivalent_urls_have_one_canonical_text() {
        for (text, canonical) in [
            ("https://cde.example.com", "https://cde.example.com"),
            (" HTTPS://CDE.Example.com:443// \n", "https://cde.example.com"),
            ("https://cde.example.com/prefix/v1/", "https://cde.example.com/prefix/v1"),
            ("http://127.1:8089/", "http://127.0.0.1:8089"),
            ("http://[::1]:8089/x", "http://[::1]:8089/x"),
            ("http://LOCALHOST:8089", "http://localhost:8089"),
        ] {
            assert_eq!(BaseUrl::parse(text, false).as_ref().map(BaseUrl::as_str), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn an_unsafe_or_ambiguous_url_is_rejected_without_quoting_its_password() {
        for (text, says) in [
            ("cde.example.com", "is not a URL"),
            ("", "is not a URL"),
            ("https://", "is not a URL"),
            ("https://user:hunter2@cde.example.com", "--token-file"),
            ("https://hunter2@cde.example.com", "--token-file"),
            ("https://cde.example.com/?hunter2", "remove"),
            ("https://cde.example.com/#hunter2", "remove"),
            ("http://cde.example.com", "--allow-http"),
            ("http://localhost.example.com", "--allow-http"),
            ("http://128.0.0.1", "--allow-http"),
            ("http://0.0.0.0", "--allow-http"),
            ("ftp://127.0.0.1", "https://"),
            ("file:///etc/passwd", "https://"),
        ] {
            let error = BaseUrl::parse(text, false).unwrap_err().to_string();
            assert!(error.starts_with("--url ") && error.contains(says), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(BaseUrl::parse("http://cde.example.com", true).is_ok());
        assert!(BaseUrl::parse("ftp://cde.example.com", true).is_err());
    }

    #[test]
    fn any_text_stays_one_path_segment() {
        let base = BaseUrl::parse("https://cde.example.com/prefix/", false).unwrap();
        let url = |segment| base.join(&["connectors", segment]).map(|url| url.to_string());
        assert_eq!(url("a-1").as_deref(), Some("https://cde.example.com/prefix/connectors/a-1"));
        assert_eq!(
            url("../x?y#z %2e").as_deref(),
            Some("https://cde.example.com/prefix/connectors/..%2Fx%3Fy%23z%20%252e")
        );
        for none in ["", ".", "..", ".\t.", ".\n.", "\r", "a\tb", "\0"] {
            assert_eq!(url(none), None, "{none:?}");
        }
    }
}
