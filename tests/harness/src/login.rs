//! An environment in login mode: a real authorization server behind a fault proxy, and one Secret with the login.

use std::time::{Duration, Instant};

use cde_operator::oauth::Login;
use cde_sandbox::authorization_server::{AuthorizationServer, CLIENT_ID, Grant, Statistics};
use cde_sandbox::cde::Sandbox;
use cde_sandbox::program::workspace;
use cde_sandbox::proxy::Proxy;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{ControlPlane, Flags, LIMIT, POLL, SHARED, TestEnv};

/// The name of the Secret, as `deploy/components/login` names it.
pub const SECRET: &str = "cde-operator-login";

/// The environment of one test in login mode. The Secret is in the test's namespace, where the operator's account has the
/// permissions of the login mode.
pub struct LoginEnv {
    /// The API server, the simulated CDE API, which asks the authorization server about tokens, and the operators.
    pub env: TestEnv,
    /// The authorization server.
    pub server: AuthorizationServer,
    /// Stands between the operators and the authorization server.
    pub proxy: Proxy,
    /// The Secrets of the test's namespace.
    pub secrets: Api<Secret>,
}

impl LoginEnv {
    /// Creates an environment without an operator and without a login. Access tokens live this long.
    pub async fn new(lifetime: Duration) -> Self {
        Self::of(AuthorizationServer::builder().access_token_lifetime(lifetime).start().await).await
    }

    /// As [`Self::new`], with this authorization server.
    pub async fn of(server: anyhow::Result<AuthorizationServer>) -> Self {
        let server = server.expect("an authorization server");
        let proxy = Proxy::in_front_of(server.issuer()).await.expect("a proxy");
        let sandbox = Sandbox::builder().introspection(server.introspection_url()).start().await;
        let env = TestEnv::with(ControlPlane::Shared(SHARED.get().await), sandbox.expect("a sandbox")).await;
        let secrets = Api::namespaced(env.client.clone(), &env.namespace);
        let env = Self { env, server, proxy, secrets };
        env.grant(&["get", "list", "watch", "patch"]).await;
        env
    }

    /// Gives the operator's account the Role of `deploy/components/login` in the test's namespace, with only these verbs.
    pub async fn grant(&self, verbs: &[&str]) {
        let file = workspace().join("deploy/components/login/role.yaml");
        let parse = ["create", "--dry-run=client", "--output=json", "-f", &file.to_string_lossy()];
        let parsed = self.env.control_plane.kubectl_ok(&parse, "").await.expect("the manifest of the Role");
        for object in serde_json::Deserializer::from_str(&parsed).into_iter::<Value>() {
            let mut object = object.expect("an object");
            object["metadata"]["namespace"] = json!(self.env.namespace);
            if object["kind"] == "Role" {
                let shipped = object["rules"][0]["verbs"].as_array().expect("verbs");
                let kept: Vec<_> = shipped.iter().filter(|verb| verbs.iter().any(|it| *verb == it)).collect();
                assert_eq!(kept.len(), verbs.len(), "the Role lacks one of {verbs:?}");
                object["rules"][0]["verbs"] = json!(kept);
            }
            self.env.kubectl(&["apply", "-f", "-"], &object.to_string()).await;
        }
    }

    /// Returns the flags of an operator in login mode, with short timeouts.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let token_url = format!("{}/token", self.proxy.url());
        let mut flags = Flags::fast_retries().with("--timeout", "3s");
        flags.token_file = false;
        flags
            .with("--oauth-secret", SECRET)
            .with("--oauth-client-id", CLIENT_ID)
            .with("--oauth-token-url", &token_url)
            .with("--oauth-revocation-url", self.server.revocation_url().as_str())
            .env("POD_NAMESPACE", &self.env.namespace)
    }

    /// Logs in at the authorization server and stores the login, as `kubectl cde login` does. Returns the tokens.
    pub async fn log_in(&self) -> Grant {
        let grant = self.server.new_login().await.expect("a login");
        self.store(&login_of(&grant)).await;
        grant
    }

    /// Replaces the content of the Secret, or creates it.
    pub async fn store(&self, login: &Login) {
        let metadata = ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, data: Some(login.data()), ..Secret::default() };
        if self.secrets.get_opt(SECRET).await.expect("a read").is_some() {
            let data = json!({"data": login.patch()});
            self.secrets.patch(SECRET, &PatchParams::default(), &Patch::Merge(data)).await.expect("a patch");
        } else {
            self.secrets.create(&PostParams::default(), &secret).await.expect("a Secret");
        }
    }

    /// Returns the login in the Secret; an empty one if there is none.
    pub async fn stored(&self) -> Login {
        let secret = self.secrets.get_opt(SECRET).await.expect("a read");
        secret.and_then(|secret| secret.data).map(|data| Login::read(&data)).unwrap_or_default()
    }

    /// Returns what the authorization server has done so far.
    pub async fn statistics(&self) -> Statistics {
        self.server.statistics().await.expect("statistics")
    }

    /// Waits until the authorization server has made this many refreshes, and the last one is stored without a claim.
    pub async fn refreshed(&self, times: u64) -> Login {
        self.until(&format!("{times} refreshes"), async || {
            let login = self.stored().await;
            let done = self.statistics().await.refreshes >= times && login.claim.is_none();
            let active = match &login.access_token {
                Some(token) => self.server.is_active(exposed(token)).await.expect("an answer"),
                None => false,
            };
            (done && active).then_some(login)
        })
        .await
    }

    /// Waits for a condition, at most [`LIMIT`].
    pub async fn until<T>(&self, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            assert!(begun.elapsed() < LIMIT, "timed out waiting for {what}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Returns the login that `kubectl cde login` would store.
#[must_use]
pub fn login_of(grant: &Grant) -> Login {
    let now = Timestamp::now();
    Login {
        access_token: Some(grant.access_token.as_str().into()),
        refresh_token: Some(grant.refresh_token.as_str().into()),
        expires_at: grant.expires_in.map(|lifetime| now + lifetime),
        obtained_at: Some(now),
        claim: None,
    }
}

/// Returns the text of a token.
#[must_use]
pub fn exposed(token: &secrecy::SecretString) -> &str {
    secrecy::ExposeSecret::expose_secret(token)
}
