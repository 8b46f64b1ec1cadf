//! The login: what a person does with `kubectl cde login` and a browser, done by the demo.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cde_sandbox::authorization_server::{AuthorizationServer, CLIENT_ID};
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::process;

use super::terminal::say;

/// The Secret of the login, as `deploy/components/login` names it.
pub(crate) const SECRET: &str = "cde-operator-login";
/// Short, so that the operator refreshes the access token while the demo runs.
pub(crate) const LIFETIME: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_mins(1);

/// Starts the authorization server.
///
/// # Errors
/// If it cannot be built or does not start.
pub(crate) async fn start_server() -> Result<AuthorizationServer> {
    let server = AuthorizationServer::builder().access_token_lifetime(LIFETIME).start().await?;
    say(&format!("Authorization: {} (access tokens live {} s)", server.issuer(), LIFETIME.as_secs()));
    Ok(server)
}

/// Returns the operator's flags for the login mode.
pub(crate) fn operator_flags(server: &AuthorizationServer) -> [String; 4] {
    [
        format!("--oauth-secret={SECRET}"),
        format!("--oauth-client-id={CLIENT_ID}"),
        format!("--oauth-token-url={}", server.token_url()),
        format!("--oauth-revocation-url={}", server.revocation_url()),
    ]
}

/// Returns the environment variables for `kubectl cde`. In a real cluster, it reads them from the operator's Deployment.
pub(crate) fn plugin_settings(server: &AuthorizationServer) -> [(&'static str, String); 5] {
    [
        ("CDE_OAUTH_SECRET", SECRET.to_owned()),
        ("CDE_OAUTH_CLIENT_ID", CLIENT_ID.to_owned()),
        ("CDE_OAUTH_AUTHORIZATION_URL", server.authorization_url().into()),
        ("CDE_OAUTH_TOKEN_URL", server.token_url().into()),
        ("CDE_OAUTH_REVOCATION_URL", server.revocation_url().into()),
    ]
}

/// Runs `kubectl cde login`, posts the login form as a browser does, and follows the redirect back to the plugin.
///
/// # Errors
/// If a step of the login fails. The error has what the plugin printed.
pub(crate) async fn log_in(
    control_plane: &ControlPlane,
    server: &AuthorizationServer,
    plugin: &Path,
) -> Result<()> {
    let args = ["cde", "login", "--no-browser", "-n", OPERATOR_NAMESPACE];
    let mut command = control_plane.kubectl();
    command.args(args).env("PATH", path_with(plugin)?).envs(plugin_settings(server));
    let (mut running, mut lines) = process::spawn_lines(command)?;
    let mut printed = Vec::new();
    let login = async {
        while let Some(line) = lines.recv().await {
            if let Some(url) = line.strip_prefix("  ").and_then(|line| line.parse().ok()) {
                let redirect = server.log_in(&url).await?;
                let browser = reqwest::Client::builder().no_proxy().build()?;
                browser.get(redirect).send().await.context("the plugin does not accept the redirect")?;
            } else {
                printed.push(line);
            }
        }
        anyhow::Ok(running.wait(LIMIT).await?)
    };
    let status = tokio::time::timeout(LIMIT, login).await.context("`kubectl cde login` does not end")??;
    ensure!(status.success(), "`kubectl cde login` failed ({status}): {}", printed.join("\n"));
    say(&format!("$ kubectl {}", args.join(" ")));
    say(printed.iter().rfind(|line| line.starts_with("Logged in")).context("the plugin reports no login")?);
    Ok(())
}

/// Returns a search path on which kubectl finds the plugin.
fn path_with(plugin: &Path) -> Result<OsString> {
    let directory = plugin.parent().context("the plugin is in no directory")?.to_owned();
    let rest = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([directory].into_iter().chain(env::split_paths(&rest)))?)
}
