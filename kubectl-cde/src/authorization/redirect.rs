//! What the browser brings back from the authorization server.

use cde_operator::oauth::EndpointUrl;
use cde_operator::text::clean;
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use crate::error::Error;

/// Texts of the authorization server are cut to this many characters.
const MAX_DESCRIPTION: usize = 200;

/// What a redirect of this login must contain.
#[derive(Clone)]
pub(super) struct Expected {
    state: String,
    /// The issuer identifier.
    issuer: Option<String>,
    /// The origin of the authorization endpoint.
    origin: url::Origin,
}

/// What a redirect means.
pub(super) enum Redirect {
    /// It does not belong to this login, and nothing in it counts.
    Foreign,
    /// The answer of the authorization server: a code, or why there is none.
    Answer(Result<SecretString, Error>),
}

impl Expected {
    /// `issuer` is the issuer identifier; `None` stands for any with the origin of the authorization endpoint.
    pub(super) fn new(state: String, authorization_url: &EndpointUrl, issuer: Option<&str>) -> Self {
        Self { state, issuer: issuer.map(str::to_owned), origin: authorization_url.url().origin() }
    }

    /// Reads the query of a redirect. Another `state` means that it was not this login that asked, so the redirect is not
    /// even believed when it reports an error.
    pub(super) fn read(&self, query: &str) -> Redirect {
        let all = |name: &str| -> Vec<String> {
            let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            pairs.map(|(_, value)| value.into_owned()).collect()
        };
        if all("state") != [self.state.as_str()] {
            return Redirect::Foreign;
        }
        let is_repeated = |name: &&str| all(name).len() > 1;
        if let Some(name) = ["code", "error", "iss"].iter().find(|name| is_repeated(name)) {
            return refused(format!("the authorization server sent `{name}` twice"));
        }
        let one = |name: &str| all(name).pop();
        if let Some(iss) = one("iss").filter(|iss| !self.is_issuer(iss)) {
            return refused(format!(
                "the answer comes from another authorization server ({}), so nothing was sent to it: if this one is \
                 right, set --issuer to it",
                clean(&iss, MAX_DESCRIPTION)
            ));
        }
        match (one("error"), one("code").filter(|code| !code.is_empty())) {
            (Some(error), _) => refused(describe(&error, one("error_description").as_deref())),
            (None, Some(code)) => Redirect::Answer(Ok(code.into())),
            (None, None) => refused("the authorization server sent neither a code nor an error".to_owned()),
        }
    }

    /// RFC 9207 compares identifiers as strings. Without a known one, another path of the same server is accepted.
    fn is_issuer(&self, iss: &str) -> bool {
        match &self.issuer {
            Some(issuer) => issuer == iss,
            None => Url::parse(iss).is_ok_and(|iss| iss.origin() == self.origin),
        }
    }
}

fn refused(why: String) -> Redirect {
    Redirect::Answer(Err(Error::Login(why)))
}

fn describe(error: &str, description: Option<&str>) -> String {
    if error == "access_denied" {
        return "the login was canceled or denied: run this again".to_owned();
    }
    let text = description.map_or_else(|| error.to_owned(), |description| format!("{error}: {description}"));
    format!("the authorization server refuses the login ({})", clean(&text, MAX_DESCRIPTION))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn expected(issuer: Option<&str>) -> Expected {
        let url = EndpointUrl::parse("--authorization-url", "https://login.example.com/authorize").unwrap();
        Expected::new("our-state".to_owned(), &url, issuer)
    }

    fn read(query: &str, issuer: Option<&str>) -> Result<String, Option<String>> {
        match expected(issuer).read(query) {
            Redirect::Foreign => Err(None),
            Redirect::Answer(Ok(code)) => Ok(code.expose_secret().to_owned()),
            Redirect::Answer(Err(error)) => Err(Some(error.to_string())),
        }
    }

    #[test]
    fn a_redirect_with_our_state_brings_its_code() {
        for query in [
            "code=a%2Bb&state=our-state",
            "state=our-state&more=1&code=a%2Bb",
            "code=a%2Bb&state=our%2Dstate",
        ] {
            assert_eq!(read(query, None), Ok("a+b".to_owned()), "{query}");
        }
    }

    /// Fault 74.
    #[test]
    fn nothing_in_a_redirect_with_another_state_counts() {
        for query in [
            "",
            "code=a",
            "code=a&state=",
            "code=a&state=other",
            "code=a&state=our-state2",
            "code=a&state=other&state=our-state",
            "error=access_denied&state=other",
            "error=access_denied",
        ] {
            assert_eq!(read(query, None), Err(None), "{query}");
        }
    }

    /// Fault 74.
    #[test]
    fn another_issuer_is_rejected_before_its_code_or_error_counts() {
        for (iss, issuer, is_accepted) in [
            ("https://login.example.com", None, true),
            ("https://login.example.com/realms/x", None, true),
            ("https://login.example.com:443/", None, true),
            ("https://login.example.com:444", None, false),
            ("http://login.example.com", None, false),
            ("https://login.example.com.evil.example", None, false),
            ("https://login.example.com@evil.example", None, false),
            ("login.example.com", None, false),
            ("", None, false),
            ("https://issuer.example.com", Some("https://issuer.example.com"), true),
            ("https://issuer.example.com/", Some("https://issuer.example.com"), false),
            ("https://login.example.com", Some("https://issuer.example.com"), false),
        ] {
            for what in ["code=a", "error=access_denied"] {
                let query = format!("{what}&state=our-state&iss={iss}");
                let says = format!("{:?}", read(&query, issuer));
                assert_eq!(
                    !says.contains("another authorization server"),
                    is_accepted,
                    "{query} {issuer:?}: {says}"
                );
            }
        }
    }

    #[test]
    fn an_answer_without_a_code_says_why() {
        for (query, says) in [
            ("error=access_denied&error_description=x", "was canceled or denied"),
            ("error=invalid_scope&error_description=no%0Asuch", "refuses the login (invalid_scope: no such)"),
            ("error=server_error&code=a", "refuses the login (server_error)"),
            ("", "neither a code nor an error"),
            ("code=", "neither a code nor an error"),
            ("code=a&code=b", "`code` twice"),
        ] {
            let error = read(&format!("{query}&state=our-state"), None).unwrap_err();
            let Some(error) = error else { panic!("{query} is foreign") };
            assert!(error.contains(says), "{query}: {error}");
        }
    }
}
