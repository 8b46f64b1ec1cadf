//! What a response of the token endpoint means: one table for all responses, to a refresh and to the exchange of a code.
//!
//! A refresh token may be spendable once, so nothing may be lost between a 200 and the write of its content. Bodies are
//! therefore read leniently: any content type, `expires_in` as a number or text, a missing `token_type`.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::text::clean;

/// Error descriptions of the server are cut to this many characters.
const MAX_DESCRIPTION: usize = 200;
/// A longer lifetime is treated as this one.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// The tokens of a successful response.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The access token. It is a valid header value.
    pub access_token: SecretString,
    /// The next refresh token; `None` keeps the one that was sent (RFC 6749, section 6).
    pub refresh_token: Option<SecretString>,
    /// How long the access token is valid; `None` if the server does not say so in a usable way.
    pub lifetime: Option<Duration>,
}

/// A response of the token endpoint, or its absence.
#[derive(Clone, Debug)]
pub enum Answer {
    /// New tokens. The refresh token that was sent may be spent.
    Granted(Grant),
    /// No tokens.
    Failed(Failure),
}

/// Why there are no new tokens, named by what happens next. The texts are safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `invalid_grant`: the refresh token or code is expired, revoked or spent. A person must log in.
    InvalidGrant(String),
    /// Another refusal: the configuration is wrong, here or at the server. Tried again every five minutes.
    Configuration(String),
    /// 429 or 503: tried again at this time, or after a backoff.
    Limited(String, Option<Timestamp>),
    /// Nothing was sent: tried again after a backoff.
    Unreachable(String),
    /// It is unknown whether the refresh token was spent: sent once more soon, then after a backoff.
    Unknown(String),
}

impl Failure {
    /// Returns the label in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InvalidGrant(_) => "invalid_grant",
            Self::Configuration(_) => "configuration",
            Self::Limited(..) => "limited",
            Self::Unreachable(_) => "unreachable",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Returns what happened, as one line without credentials.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::InvalidGrant(why)
            | Self::Configuration(why)
            | Self::Limited(why, _)
            | Self::Unreachable(why)
            | Self::Unknown(why) => why,
        }
    }
}

/// The body of an error response (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    error_description: serde_json::Value,
}

/// The body of a successful response (RFC 6749, section 5.1), as far as it is needed.
#[derive(Deserialize)]
struct GrantBody {
    access_token: String,
    #[serde(default)]
    refresh_token: serde_json::Value,
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// Classifies a response with this status code and whole body. `redact` removes credentials from a text. `retry_at` is what
/// the headers ask for.
#[must_use]
pub fn classify(
    code: u16,
    body: &[u8],
    retry_at: Option<Timestamp>,
    redact: &dyn Fn(&str) -> String,
) -> Answer {
    if (200..300).contains(&code) {
        return grant(body).map_or_else(
            || {
                let why =
                    format!("the token endpoint answered {code} with a body that has no usable access_token");
                Answer::Failed(Failure::Unknown(why))
            },
            Answer::Granted,
        );
    }
    let oauth = serde_json::from_slice::<ErrorBody>(body).ok();
    let name = oauth.as_ref().map(|body| body.error.as_str());
    let said = oauth.as_ref().map_or_else(|| code.to_string(), |body| said(code, body, redact));
    Answer::Failed(match (code, name) {
        // The server, or a proxy before it, asks for a pause.
        (429 | 503, _) => Failure::Limited(format!("the token endpoint limits calls ({said})"), retry_at),
        // RFC 6749 demands 400, but some servers send 401 or 403.
        (400..500, Some("invalid_grant")) => {
            Failure::InvalidGrant(format!("the token endpoint rejects the grant ({said})"))
        }
        // A proxy gave up waiting for a server that may have gone on.
        (408, None) => Failure::Unknown(format!("the token endpoint answered {said}")),
        (400..500, Some(_)) => {
            Failure::Configuration(format!("the token endpoint refuses the request ({said})"))
        }
        (400..500, None) => Failure::Configuration(format!(
            "the token endpoint answered {said} without an OAuth error: --oauth-token-url is wrong, or a proxy or gateway \
             refuses the call"
        )),
        (300..400, _) => Failure::Configuration(format!(
            "the token endpoint answered {said}, and redirects are not followed: correct --oauth-token-url"
        )),
        // 5xx and what no standard describes.
        _ => Failure::Unknown(format!("the token endpoint answered {said}")),
    })
}

fn said(code: u16, body: &ErrorBody, redact: &dyn Fn(&str) -> String) -> String {
    let text = match body.error_description.as_str() {
        Some(description) => format!("{code} {}: {description}", body.error),
        None => format!("{code} {}", body.error),
    };
    clean(&redact(&text), MAX_DESCRIPTION)
}

fn grant(body: &[u8]) -> Option<Grant> {
    let body: GrantBody = serde_json::from_slice(body).ok()?;
    let is_usable = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_usable(&body.access_token) {
        return None;
    }
    let refresh_token = body.refresh_token.as_str().filter(|token| !token.is_empty());
    Some(Grant {
        access_token: body.access_token.as_str().into(),
        refresh_token: refresh_token.map(SecretString::from),
        lifetime: lifetime(&body.expires_in),
    })
}

/// Reads `expires_in` in seconds. Zero and negative values say nothing that could be used.
fn lifetime(expires_in: &serde_json::Value) -> Option<Duration> {
    let seconds = match expires_in {
        serde_json::Value::Number(number) => number.as_f64()?,
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let usable = seconds.is_finite() && seconds >= 1.0;
    usable.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn answer(code: u16, body: &str) -> Answer {
        classify(code, body.as_bytes(), None, &|text| text.replace("canary", "[redacted]"))
    }

    fn granted(body: &str) -> Grant {
        match answer(200, body) {
            Answer::Granted(grant) => grant,
            Answer::Failed(failure) => panic!("{body}: {failure:?}"),
        }
    }

    fn failure(code: u16, body: &str) -> Failure {
        match answer(code, body) {
            Answer::Failed(failure) => failure,
            Answer::Granted(_) => panic!("{code} {body} is a grant"),
        }
    }

    #[test]
    fn every_response_without_tokens_has_its_row_in_the_table() {
        for (code, body, label) in [
            (400, r#"{"error": "invalid_grant"}"#, "invalid_grant"),
            (401, r#"{"error": "invalid_grant", "error_description": 7}"#, "invalid_grant"),
            (400, r#"{"error": "invalid_client"}"#, "configuration"),
            (401, r#"{"error": "invalid_client"}"#, "configuration"),
            (400, r#"{"error": "unauthorized_client"}"#, "configuration"),
            (400, r#"{"error": "invalid_scope"}"#, "configuration"),
            (400, "", "configuration"),
            (403, "<html>", "configuration"),
            (404, "", "configuration"),
            (302, "", "configuration"),
            (429, "", "limited"),
            (503, r#"{"error": "temporarily_unavailable"}"#, "limited"),
            (408, "", "unknown"),
            (500, r#"{"error": "server_error"}"#, "unknown"),
            (502, "<html>", "unknown"),
            (504, "", "unknown"),
            (200, "", "unknown"),
            (200, "<html>", "unknown"),
            (200, "{}", "unknown"),
            (200, r#"{"access_token": ""}"#, "unknown"),
            (200, r#"{"access_token": "a b"}"#, "unknown"),
            (200, r#"{"access_token": 1}"#, "unknown"),
        ] {
            assert_eq!(failure(code, body).as_str(), label, "{code} {body}");
        }
    }

    #[test]
    fn every_failure_names_the_token_endpoint_and_not_what_was_sent_to_it() {
        for (code, body) in [
            (302, ""),
            (400, ""),
            (400, r#"{"error": "invalid_grant"}"#),
            (401, r#"{"error": "invalid_client"}"#),
            (408, ""),
            (429, ""),
            (500, ""),
            (200, ""),
        ] {
            let failure = failure(code, body);
            let is_neutral = !failure.why().contains("refresh") && !failure.why().contains("code");
            assert!(failure.why().starts_with("the token endpoint ") && is_neutral, "{failure:?}");
        }
    }

    #[test]
    fn a_lifetime_may_be_a_number_or_text_and_an_unusable_one_is_unknown() {
        let body = |value: &str| format!(r#"{{"access_token": "a", "expires_in": {value}}}"#);
        let seconds = |value: &str| granted(&body(value)).lifetime.map(|lifetime| lifetime.as_secs());
        for (value, expected) in [
            ("3600", Some(3600)),
            ("\" 3600 \"", Some(3600)),
            ("3599.9", Some(3599)),
            ("1", Some(1)),
            ("0", None),
            ("-1", None),
            ("\"soon\"", None),
            ("null", None),
            ("[]", None),
            ("1e300", Some(MAX_LIFETIME.as_secs())),
            ("99999999999999999999", Some(MAX_LIFETIME.as_secs())),
        ] {
            assert_eq!(seconds(value), expected, "{value}");
        }
        assert_eq!(granted(r#"{"access_token": "a"}"#).lifetime, None);
    }

    #[test]
    fn a_missing_or_empty_refresh_token_keeps_the_old_one() {
        let refresh = |body: &str| granted(body).refresh_token.map(|token| token.expose_secret().to_owned());
        assert_eq!(refresh(r#"{"access_token": "a", "refresh_token": "r"}"#).as_deref(), Some("r"));
        for none in [r#"{"access_token": "a"}"#, r#"{"access_token": "a", "refresh_token": ""}"#] {
            assert_eq!(refresh(none), None, "{none}");
        }
    }

    #[test]
    fn a_description_is_one_short_line_without_credentials() {
        let body = r#"{"error": "invalid_grant", "error_description": "canary\nis spent"}"#;
        assert!(failure(400, body).why().ends_with("(400 invalid_grant: [redacted] is spent)"), "{body}");
        let long = format!(r#"{{"error": "invalid_grant", "error_description": "{}"}}"#, "x".repeat(1000));
        assert!(failure(400, &long).why().chars().count() < 300);
    }

    #[test]
    fn no_debug_output_shows_a_token() {
        let answer =
            answer(200, r#"{"access_token": "canary-a", "refresh_token": "canary-r", "expires_in": 5}"#);
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    }
}
