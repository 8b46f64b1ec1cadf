//! The flags of the login mode.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The flags of the login mode.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Login")]
pub struct OauthArgs {
    /// Secret with the CDE login, in the operator's namespace, which `kubectl cde login` creates and the operator keeps alive;
    /// instead of --token-file.
    #[arg(long = "oauth-secret", env = "CDE_OAUTH_SECRET", value_name = "NAME")]
    pub secret: Option<String>,
    /// Client ID at the authorization server.
    #[arg(long = "oauth-client-id", env = "CDE_OAUTH_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// Token endpoint of the authorization server: https, or http for a loopback host.
    #[arg(long = "oauth-token-url", env = "CDE_OAUTH_TOKEN_URL", value_name = "URL")]
    pub token_url: Option<String>,
    /// Authorization endpoint. The operator does not call it: `kubectl cde login` reads it from the operator's Deployment.
    #[arg(long = "oauth-authorization-url", env = "CDE_OAUTH_AUTHORIZATION_URL", value_name = "URL")]
    pub authorization_url: Option<String>,
    /// Revocation endpoint, for logins that a new login has replaced; default: they end by themselves.
    #[arg(long = "oauth-revocation-url", env = "CDE_OAUTH_REVOCATION_URL", value_name = "URL")]
    pub revocation_url: Option<String>,
    /// File with the secret of a confidential client, reread for each refresh; default: a public client.
    #[arg(long = "oauth-client-secret-file", env = "CDE_OAUTH_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// Scopes to ask for, separated by spaces; default: those of the login.
    #[arg(long = "oauth-scopes", env = "CDE_OAUTH_SCOPES", value_name = "SCOPES")]
    pub scopes: Option<String>,
    /// Lifetime of an access token if the authorization server does not say it.
    #[arg(long = "oauth-assume-lifetime", env = "CDE_OAUTH_ASSUME_LIFETIME", default_value = "1h", value_parser = lifetime, value_name = "DURATION")]
    pub assume_lifetime: Duration,
}

impl OauthArgs {
    /// Checks that exactly one mode is configured.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub(super) fn check(&self, has_token_file: bool) -> Result<(), String> {
        let Some(secret) = &self.secret else {
            if let Some(flag) = self.set().first().filter(|_| has_token_file) {
                return Err(format!("{flag} needs --oauth-secret instead of --token-file"));
            }
            return if has_token_file {
                Ok(())
            } else {
                Err("set --token-file, or --oauth-secret to use a login that the operator keeps alive"
                    .to_owned())
            };
        };
        if has_token_file {
            return Err("--token-file and --oauth-secret exclude each other: set one of them".to_owned());
        }
        if !is_secret_name(secret) {
            return Err(format!("--oauth-secret `{secret}` is not the name of a Secret"));
        }
        for (flag, value) in [("--oauth-client-id", &self.client_id), ("--oauth-token-url", &self.token_url)]
        {
            if value.as_deref().is_none_or(|value| value.trim().is_empty()) {
                return Err(format!("{flag} is missing: --oauth-secret needs it"));
            }
        }
        Ok(())
    }

    /// Returns the flags that are set and need `--oauth-secret`.
    fn set(&self) -> Vec<&'static str> {
        [
            ("--oauth-client-id", self.client_id.is_some()),
            ("--oauth-token-url", self.token_url.is_some()),
            ("--oauth-authorization-url", self.authorization_url.is_some()),
            ("--oauth-revocation-url", self.revocation_url.is_some()),
            ("--oauth-client-secret-file", self.client_secret_file.is_some()),
            ("--oauth-scopes", self.scopes.is_some()),
        ]
        .into_iter()
        .filter_map(|(flag, is_set)| is_set.then_some(flag))
        .collect()
    }
}

/// Whether `name` is an RFC 1123 subdomain.
fn is_secret_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(super::is_namespace)
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if lifetime < Duration::from_secs(1) { Err("must be at least 1s".to_owned()) } else { Ok(lifetime) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};

    fn checked(flags: &[&str]) -> Result<(), String> {
        let cli =
            Cli::parse_from([&["cde-operator", "run", "--url=https://cde.example.com"], flags].concat());
        let Command::Run(args) = cli.command else { return Err("another command".to_owned()) };
        args.check()
    }

    #[test]
    fn exactly_one_mode_must_be_complete() {
        let (secret, id) = ("--oauth-secret=cde-login", "--oauth-client-id=operator");
        let url = "--oauth-token-url=https://login.example.com/token";
        assert_eq!(checked(&["--token-file=/token"]), Ok(()));
        assert_eq!(checked(&[secret, id, url]), Ok(()));
        for (flags, says) in [
            (&[][..], "set --token-file, or --oauth-secret"),
            (&["--token-file=/token", secret, id, url], "exclude each other"),
            (&["--token-file=/token", id], "--oauth-client-id needs --oauth-secret"),
            (&[secret, url], "--oauth-client-id is missing"),
            (&[secret, id], "--oauth-token-url is missing"),
            (&[secret, id, "--oauth-token-url= "], "--oauth-token-url is missing"),
            (&["--oauth-secret=CDE_login", id, url], "is not the name of a Secret"),
        ] {
            let error = checked(flags).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
    }
}
