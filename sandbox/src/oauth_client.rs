//! A small client of OAuth 2.0 endpoints, for the simulated CDE API and for tests. It shares no code with the client of
//! the operator, so that a mistake in either shows.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::redirect;
use serde::Deserialize;
use url::{Url, form_urlencoded};

const LIMIT: Duration = Duration::from_secs(30);

/// Sends forms and follows no redirect.
#[derive(Debug)]
pub(crate) struct OAuthClient(reqwest::Client);

impl OAuthClient {
    pub(crate) fn new() -> Result<Self> {
        // An error only means that a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(LIMIT)
            .build()?;
        Ok(Self(http))
    }

    pub(crate) async fn send(
        &self,
        method: http::Method,
        url: &Url,
        body: String,
    ) -> Result<reqwest::Response> {
        Ok(self.0.request(method, url.clone()).body(body).send().await?)
    }

    /// Posts a form. A user name and a password in `url` are sent as basic authentication.
    pub(crate) async fn post_form(&self, url: &Url, fields: &[(&str, &str)]) -> Result<reqwest::Response> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form_type = (http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Ok(self.0.post(url.clone()).header(form_type.0, form_type.1).body(form).send().await?)
    }

    /// Returns whether the authorization server says at its introspection endpoint that `token` is active (RFC 7662).
    ///
    /// # Errors
    /// If it does not respond, or its response is not one of an introspection endpoint.
    pub(crate) async fn is_active(&self, introspection: &Url, token: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct Introspected {
            active: bool,
        }
        let answer = self.post_form(introspection, &[("token", token)]).await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        ensure!(status.is_success(), "the introspection endpoint answered {status}");
        let read: Introspected = serde_json::from_slice(&body)
            .context("the answer of the introspection endpoint is unreadable")?;
        Ok(read.active)
    }
}
