//! The login of operators in login mode, at a real authorization server.

use std::time::Duration;

use anyhow::{Context, Result};
use cde_sandbox::authorization_server::{AuthorizationServer, CLIENT_ID};
use cde_sandbox::control_plane::OPERATOR_NAMESPACE;
use cde_sandbox::program::workspace;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use cde_operator::oauth::{Login as Content, key};

use crate::stage::Stage;

/// The Secret, as `deploy/components/login` names it.
const SECRET: &str = "cde-operator-login";

/// An authorization server and the Secret with a login there.
pub(crate) struct Login {
    pub(crate) server: AuthorizationServer,
    secrets: Api<Secret>,
    events: Api<Event>,
    logged_in: Timestamp,
}

impl Login {
    /// Starts an authorization server whose access tokens live for `lifetime`, applies the permissions of the login mode,
    /// and logs in.
    ///
    /// # Errors
    /// If the server does not start, or the API server rejects a write.
    pub(crate) async fn new(stage: &Stage, lifetime: Duration) -> Result<Self> {
        let server = AuthorizationServer::builder().access_token_lifetime(lifetime).start().await?;
        let role = workspace().join("deploy/components/login/role.yaml");
        stage.plane.kubectl_ok(&["apply", "-f", &role.to_string_lossy()], "").await?;
        let secrets = Api::namespaced(stage.admin.clone(), OPERATOR_NAMESPACE);
        let metadata = ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() };
        secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await?;
        let events = Api::namespaced(stage.admin.clone(), OPERATOR_NAMESPACE);
        let mut login = Self { server, secrets, events, logged_in: Timestamp::MIN };
        login.log_in().await?;
        Ok(login)
    }

    /// Returns the operator's flags for the login mode.
    pub(crate) fn flags(&self) -> [String; 4] {
        [
            format!("--oauth-secret={SECRET}"),
            format!("--oauth-client-id={CLIENT_ID}"),
            format!("--oauth-token-url={}", self.server.token_url()),
            format!("--oauth-revocation-url={}", self.server.revocation_url()),
        ]
    }

    /// Logs in with the login form, as a person does, and stores the login.
    ///
    /// # Errors
    /// If the login fails or cannot be stored.
    pub(crate) async fn log_in(&mut self) -> Result<()> {
        let grant = self.server.new_login().await?;
        let now = Timestamp::now();
        let content = Content {
            access_token: Some(grant.access_token.as_str().into()),
            refresh_token: Some(grant.refresh_token.as_str().into()),
            expires_at: grant.expires_in.map(|lifetime| now + lifetime),
            obtained_at: Some(now),
            claim: None,
        };
        let data = Patch::Merge(json!({"data": content.patch()}));
        self.secrets.patch(SECRET, &PatchParams::default(), &data).await?;
        self.logged_in = now;
        Ok(())
    }

    /// Returns whether the authorization server accepts the access token in the Secret.
    ///
    /// # Errors
    /// If one of the servers does not respond.
    pub(crate) async fn is_usable(&self) -> Result<bool> {
        let data = self.secrets.get(SECRET).await?.data.unwrap_or_default();
        let token = data.get(key::ACCESS_TOKEN).context("the Secret of the login has no access token")?;
        self.server.is_active(std::str::from_utf8(&token.0)?).await
    }

    /// Returns whether an operator has asked for a new login since the last one.
    ///
    /// # Errors
    /// If the API server does not respond.
    pub(crate) async fn is_required(&self) -> Result<bool> {
        let events = self.events.list(&ListParams::default()).await?.items;
        Ok(events.iter().any(|event| {
            event.reason.as_deref() == Some("LoginRequired")
                && event.event_time.as_ref().is_some_and(|time| time.0 > self.logged_in)
        }))
    }
}
