//! A real OAuth 2.0 authorization server (fosite) with one user, for the tests and the demo.
//!
//! It has the authorization code with PKCE (`S256` only), refresh tokens that rotate, with reuse detection, revocation
//! (RFC 7009), introspection (RFC 7662) and `iss` in authorization responses (RFC 9207). A rotation ends the old access
//! token at once. The use of a spent refresh token revokes all tokens of the same login. The server is built once from
//! a Go module. It keeps everything in memory, and is killed when the value is dropped.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use cde_sandbox::authorization_server::{AuthorizationServer, CLIENT_ID};
//! use cde_sandbox::cde::Sandbox;
//! use std::time::Duration;
//!
//! let server = AuthorizationServer::builder().access_token_lifetime(Duration::from_secs(20)).start().await?;
//! let sandbox = Sandbox::builder().introspection(server.introspection_url()).start().await?;
//! let grant = server.new_login().await?;
//! // … point a client with CLIENT_ID at server.token_url(), and with grant.access_token at sandbox.url() …
//! # let _ = (CLIENT_ID, sandbox, grant);
//! assert_eq!(server.statistics().await?.reuse_detections, 0);
//! # Ok(())
//! # }
//! ```

mod login;
mod options;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use serde::Deserialize;
use url::Url;

pub use self::login::{Client, Grant};
pub use self::options::{Options, RefreshTokens};
use crate::oauth_client::OAuthClient;
use crate::process::{self, Process};
use crate::tools;

/// The ID of the public client, whose redirect is `http://127.0.0.1/callback` on any port.
pub const CLIENT_ID: &str = "cde-operator";
/// The ID of the client with a secret. It has the same redirect, and it may introspect tokens.
pub const CONFIDENTIAL_CLIENT_ID: &str = "cde-operator-confidential";
/// The secret of the confidential client.
pub const CLIENT_SECRET: &str = "sandbox-client-secret";
/// The name of the user.
pub const USER: &str = "grace";
/// The password of the user.
pub const PASSWORD: &str = "sandbox-password";

const START_LIMIT: Duration = Duration::from_secs(20);

/// A running authorization server. It is killed when it is dropped.
#[derive(Debug)]
pub struct AuthorizationServer {
    issuer: String,
    base: Url,
    http: OAuthClient,
    _process: Process,
}

/// The configuration of a server, created by [`AuthorizationServer::builder`].
#[derive(Debug)]
pub struct Builder {
    access_token_lifetime: Duration,
    refresh_token_lifetime: Duration,
}

/// What the server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statistics {
    /// Authorization codes that were exchanged for tokens.
    pub codes_exchanged: u64,
    /// Refreshes that returned tokens.
    pub refreshes: u64,
    /// Refreshes that were refused for any reason, reuse included.
    pub refreshes_refused: u64,
    /// Uses of a spent refresh token, after its grace period.
    pub reuse_detections: u64,
    /// Revocations that clients requested.
    pub revocations: u64,
}

impl Builder {
    /// Sets how long access tokens live, instead of an hour. The server rounds the end to a whole second.
    #[must_use]
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = lifetime;
        self
    }

    /// Sets how long refresh tokens live, instead of 30 days. The server rounds the end to a whole second.
    #[must_use]
    pub fn refresh_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_token_lifetime = lifetime;
        self
    }

    /// Starts the server on a free port of 127.0.0.1. The first start on a machine has to build it, which takes a
    /// minute or two.
    ///
    /// # Errors
    /// If it cannot be built or does not start.
    pub async fn start(self) -> Result<AuthorizationServer> {
        let program = tokio::task::spawn_blocking(tools::authorization_server).await??;
        let milliseconds = |lifetime: Duration| format!("{}ms", lifetime.as_millis());
        let mut command = Command::new(program);
        command
            .args(["-access-token-lifetime", &milliseconds(self.access_token_lifetime)])
            .args(["-refresh-token-lifetime", &milliseconds(self.refresh_token_lifetime)])
            .args(["-client", CLIENT_ID, "-confidential-client", CONFIDENTIAL_CLIENT_ID, "-user", USER])
            .env("CLIENT_SECRET", CLIENT_SECRET)
            .env("LOGIN_PASSWORD", PASSWORD);
        let (process, mut lines) = process::spawn_lines(command)?;
        let first = tokio::time::timeout(START_LIMIT, lines.recv()).await.ok().flatten().unwrap_or_default();
        let Some(issuer) = first.strip_prefix("Authorization server on ") else {
            bail!("the authorization server did not start: {first}")
        };
        let base = issuer.parse().context("the authorization server does not print a URL")?;
        Ok(AuthorizationServer {
            issuer: issuer.to_owned(),
            base,
            http: OAuthClient::new()?,
            _process: process,
        })
    }
}

impl AuthorizationServer {
    /// Returns a builder with the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            access_token_lifetime: Duration::from_hours(1),
            refresh_token_lifetime: Duration::from_hours(24 * 30),
        }
    }

    /// Starts a server with the defaults.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Its base URL without a slash at the end, which is the `iss` of its authorization responses.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The endpoint for browsers, with the login page.
    #[must_use]
    pub fn authorization_url(&self) -> Url {
        self.endpoint("authorize")
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_url(&self) -> Url {
        self.endpoint("token")
    }

    /// The revocation endpoint.
    #[must_use]
    pub fn revocation_url(&self) -> Url {
        self.endpoint("revoke")
    }

    /// The introspection endpoint, with the ID and the secret of the confidential client.
    #[must_use]
    pub fn introspection_url(&self) -> Url {
        Client::Confidential.authenticate(self.endpoint("introspect"))
    }

    /// Returns whether `access_token` is good at this moment. A refresh token is not.
    ///
    /// # Errors
    /// If the server does not respond.
    pub async fn is_active(&self, access_token: &str) -> Result<bool> {
        self.http.is_active(&self.introspection_url(), access_token).await
    }

    /// Returns what the server has done so far.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn statistics(&self) -> Result<Statistics> {
        let body = self.control(Method::GET, "statistics", String::new()).await?;
        serde_json::from_slice(&body).context("cannot read the statistics of the authorization server")
    }

    /// Revokes all tokens, as an administrator would.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn revoke_all(&self) -> Result<()> {
        self.control(Method::POST, "revoke-all", String::new()).await.map(drop)
    }

    /// Replaces the options.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn set(&self, options: Options) -> Result<()> {
        self.control(Method::PUT, "options", serde_json::to_string(&options)?).await.map(drop)
    }

    fn endpoint(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    async fn control(&self, method: Method, path: &str, body: String) -> Result<Vec<u8>> {
        let answer = self.http.send(method, &self.endpoint(&format!("control/{path}")), body).await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        ensure!(
            status.is_success(),
            "the authorization server rejected {path}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body.into())
    }
}
