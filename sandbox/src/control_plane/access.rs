//! Access to the control plane: kubeconfigs, clients, kubectl and service account tokens.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ControlPlane;
use crate::process;

const TOKEN_SECONDS: i64 = 24 * 60 * 60;

impl ControlPlane {
    /// Returns a new administrator's client (`system:masters`) for the calling runtime. It does not retry by itself.
    ///
    /// # Errors
    /// If the client cannot be built.
    pub async fn admin(&self) -> Result<Client> {
        self.client_of(self.kubeconfig_for(self.url(), &self.admin_token)).await
    }

    /// Returns a new client for the user in the kubeconfig file at `path` (see [`Self::service_account`]). It does not
    /// retry by itself and ignores the proxies in the environment.
    ///
    /// # Errors
    /// If the file cannot be read or the client cannot be built.
    pub async fn client(&self, path: &std::path::Path) -> Result<Client> {
        self.client_of(serde_json::from_slice(&fs::read(path)?)?).await
    }

    async fn client_of(&self, kubeconfig: Value) -> Result<Client> {
        // An error only means that a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        config.proxy_url = None;
        Ok(Client::try_from(config)?)
    }

    /// Returns a command that runs the matching kubectl as the administrator. Its home and cache are a scratch
    /// directory.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.binaries.kubectl());
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.scratch.path().join("home"));
        for variable in ["KUBECACHEDIR", "KUBERC", "POD_NAMESPACE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs kubectl with `args` and `stdin`, and returns its standard output. Does not block a thread of the runtime.
    /// Dropping the future kills kubectl.
    ///
    /// # Errors
    /// If it fails. The error has its arguments and its standard error.
    pub async fn kubectl_ok(&self, args: &[&str], stdin: &str) -> Result<String> {
        let mut command = self.kubectl();
        command.args(args);
        let output = process::output(command, stdin.as_bytes()).await?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("`kubectl {}` failed ({}): {}", args.join(" "), output.status, stderr.trim());
        }
        String::from_utf8(output.stdout).context("kubectl wrote something that is not UTF-8")
    }

    /// Writes a kubeconfig file with a new token (valid for a day) for the service account `namespace`/`name`, which
    /// must exist, because no controller creates one. `server` replaces the URL of the API server, for a proxy. The
    /// file lives as long as the control plane.
    ///
    /// # Errors
    /// If the service account does not exist or the file cannot be written.
    pub async fn service_account(
        &self,
        namespace: &str,
        name: &str,
        server: Option<&str>,
    ) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let spec =
            TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for the service account {namespace}/{name}"))?;
        let token = answer.status.context("the response to a TokenRequest has no status")?.token;
        let path =
            self.scratch.path().join(format!("{namespace}-{name}-{}.kubeconfig", Uuid::new_v4().simple()));
        fs::write(&path, self.kubeconfig_for(server.unwrap_or(self.url()), &token).to_string())?;
        Ok(path)
    }

    pub(super) fn kubeconfig_for(&self, server: &str, token: &str) -> Value {
        let mut cluster = json!({"server": server});
        if server.starts_with("https:") {
            cluster["certificate-authority"] = json!(self.servers.pki.ca_file);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": cluster}],
            "users": [{"name": "sandbox", "user": {"token": token}}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
            "current-context": "sandbox",
        })
    }
}
