//! A client that shares no code with the sandbox, and shows every answer as it is.

use std::time::{Duration, Instant};

use cde_sandbox::authorization_server::{AuthorizationServer, CLIENT_ID};
use reqwest::redirect::Policy;
use serde_json::Value;
use url::{Url, form_urlencoded};

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn http() -> reqwest::Client {
    http_with_timeout(LIMIT)
}

pub(crate) fn http_with_timeout(timeout: Duration) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(timeout).build().unwrap()
}

/// Returns the request that posts a form. A user name and a password in `url` become basic authentication.
pub(crate) fn form(http: &reqwest::Client, url: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
}

pub(crate) fn refresh_fields(refresh_token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", CLIENT_ID)]
}

pub(crate) async fn post(url: &Url, fields: &[(&str, &str)]) -> reqwest::Response {
    form(&http(), url.as_str(), fields).send().await.unwrap()
}

pub(crate) async fn json(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Returns a valid authorization request with these parameters changed. An empty value removes the parameter.
pub(crate) fn authorization_request(server: &AuthorizationServer, changes: &[(&str, &str)]) -> Url {
    let parameters = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "http://127.0.0.1:49152/callback"),
        // The example of RFC 7636, appendix B.
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("state", "a-state-of-the-client"),
    ];
    let mut request = server.authorization_url();
    for (name, value) in parameters {
        let value =
            changes.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, changed)| changed);
        if !value.is_empty() {
            request.query_pairs_mut().append_pair(name, value);
        }
    }
    request
}

pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < LIMIT, "after {LIMIT:?} it still does not hold that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
