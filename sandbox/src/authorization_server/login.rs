//! Logins and refreshes without a browser.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, header};
use ring::digest;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{AuthorizationServer, CLIENT_ID, CLIENT_SECRET, CONFIDENTIAL_CLIENT_ID, PASSWORD, USER};

/// Nothing listens there, and no redirect is followed.
const REDIRECT: &str = "http://127.0.0.1:1/callback";

/// One of the clients that the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The client without a secret.
    Public,
    /// The client with a secret.
    Confidential,
}

impl Client {
    /// Its client ID.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Public => CLIENT_ID,
            Self::Confidential => CONFIDENTIAL_CLIENT_ID,
        }
    }

    /// Adds basic authentication to the URL if the client has a secret.
    pub(super) fn authenticate(self, mut url: Url) -> Url {
        if self == Self::Confidential {
            // Both fail only for a URL without a host.
            let _ = url.set_username(self.id());
            let _ = url.set_password(Some(CLIENT_SECRET));
        }
        url
    }
}

/// The tokens of a login or a refresh. Its debug output shows none.
#[derive(Clone)]
pub struct Grant {
    /// The access token.
    pub access_token: String,
    /// The refresh token; after a refresh whose answer has none, the one that was used.
    pub refresh_token: String,
    /// How long the access token lives, if the answer says so with a whole number.
    pub expires_in: Option<Duration>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl AuthorizationServer {
    /// Logs in at the login page with the right password, and returns the redirect, which is not followed. If the
    /// server rejects the request itself, that is the redirect with its error.
    ///
    /// # Errors
    /// If there is no login page or no redirect.
    pub async fn log_in(&self, authorization_request: &Url) -> Result<Url> {
        self.submit(
            authorization_request,
            &[("username", USER), ("password", PASSWORD), ("action", "log-in")],
        )
        .await
    }

    /// Presses “Cancel” on the login page, and returns the redirect, which is not followed.
    ///
    /// # Errors
    /// As [`Self::log_in`].
    pub async fn cancel(&self, authorization_request: &Url) -> Result<Url> {
        self.submit(authorization_request, &[("action", "cancel")]).await
    }

    /// Logs in as the public client with code and PKCE, and returns the tokens.
    ///
    /// # Errors
    /// If a step of the login fails.
    pub async fn new_login(&self) -> Result<Grant> {
        self.new_login_as(Client::Public).await
    }

    /// As [`Self::new_login`], as this client.
    ///
    /// # Errors
    /// If a step of the login fails.
    pub async fn new_login_as(&self, client: Client) -> Result<Grant> {
        let (verifier, state) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        let mut request = self.authorization_url();
        request.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", client.id()),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
        ]);
        let redirect = self.log_in(&request).await?;
        let answer = |name| parameter(&redirect, name);
        if let Some(error) = answer("error") {
            bail!("the login was refused: {error}");
        }
        ensure!(answer("state").as_deref() == Some(&state), "the redirect has another state");
        ensure!(answer("iss").as_deref() == Some(self.issuer()), "the redirect has another issuer");
        let code = answer("code").context("the redirect has no code")?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", &verifier),
        ];
        self.grant(client, &fields, None).await
    }

    /// Spends a refresh token of this client, and returns the new tokens.
    ///
    /// # Errors
    /// If the server refuses. The error ends with the OAuth error code.
    pub async fn refresh(&self, client: Client, refresh_token: &str) -> Result<Grant> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.grant(client, &fields, Some(refresh_token)).await
    }

    async fn submit(&self, request: &Url, fields: &[(&str, &str)]) -> Result<Url> {
        let page = self.http.send(Method::GET, request, String::new()).await?;
        if let Some(redirect) = location(&page) {
            return Ok(redirect);
        }
        ensure!(page.status().is_success(), "there is no login page, but {}", page.status());
        let answer = self.http.post_form(request, fields).await?;
        location(&answer).with_context(|| format!("the login page does not redirect: {}", answer.status()))
    }

    async fn grant(&self, client: Client, fields: &[(&str, &str)], spent: Option<&str>) -> Result<Grant> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: Option<String>,
            refresh_token: Option<String>,
            expires_in: Option<Value>,
            error: Option<String>,
        }
        let mut fields = fields.to_vec();
        if client == Client::Public {
            fields.push(("client_id", client.id()));
        }
        let answer = self.http.post_form(&client.authenticate(self.token_url()), &fields).await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        // The error of serde could contain a token.
        let Ok(answer) = serde_json::from_slice::<Answer>(&body) else {
            bail!("the token endpoint answered {status} with something else than tokens");
        };
        if let Some(error) = answer.error {
            bail!("the token endpoint answered {status}: {error}");
        }
        Ok(Grant {
            access_token: answer.access_token.context("no access token")?,
            refresh_token: answer.refresh_token.or(spent.map(str::to_owned)).context("no refresh token")?,
            expires_in: answer.expires_in.and_then(|value| value.as_u64()).map(Duration::from_secs),
        })
    }
}

fn location(answer: &reqwest::Response) -> Option<Url> {
    answer.headers().get(header::LOCATION)?.to_str().ok()?.parse().ok()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Returns 64 characters with 244 bits of randomness, which is enough for a verifier.
fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
