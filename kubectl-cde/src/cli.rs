//! Flags and environment variables.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) mod request;
pub(crate) mod selection;

use self::request::{CreateArgs, PreviewArgs, RollbackArgs};
use self::selection::{ConfirmArgs, DescribeArgs, ResumeArgs, RetryArgs, StatusArgs, SuspendArgs, WaitArgs};

/// Work with cde-operator: restore connectors of Productsup's Connector Development Environment (CDE), roll back their
/// migrations, and log in to the CDE.
///
/// Exit codes: 0 success, 1 something failed or needs a login, 2 wrong flags or configuration, 3 Kubernetes could not be
/// reached or refused. `kubectl cde wait` has its own: see its help.
#[derive(Debug, Parser)]
#[command(name = "kubectl-cde", bin_name = "kubectl cde", version = cde_operator::VERSION, arg_required_else_help = true)]
#[command(args_override_self = true)]
pub(crate) struct Cli {
    /// Access to Kubernetes.
    #[command(flatten)]
    pub(crate) kubernetes: KubernetesArgs,
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Roll back the migrations of connectors: create one request per connector.
    Rollback(Box<RollbackArgs>),
    /// Restore connectors from the bin: create one request per connector.
    Restore(Box<CreateArgs>),
    /// Show requests: what needs a person, what waits and for what, what is under way, and what is done.
    #[command(aliases = ["list", "get"])]
    Status(Box<StatusArgs>),
    /// Tell the story of one request, and what a person can do.
    Describe(DescribeArgs),
    /// Show what suspended requests would do; with --filename, create them first.
    Preview(Box<PreviewArgs>),
    /// Record what you saw in the CDE about a request whose outcome is unknown.
    Confirm(ConfirmArgs),
    /// Ask the operator for another attempt.
    Retry(Box<RetryArgs>),
    /// Hold requests back: no new attempt begins.
    Suspend(Box<SuspendArgs>),
    /// Start suspended requests.
    Resume(Box<ResumeArgs>),
    /// Wait until requests have ended: exit code 0 if all succeeded, 1 if some failed, 2 if some have no result (unknown
    /// outcome, or suspended with nothing else under way), 3 after the time-out, 4 after another error.
    Wait(Box<WaitArgs>),
    /// Log in to the CDE with a browser, and write the login to the operator's Secret.
    Login(Box<LoginArgs>),
    /// Revoke the login, and empty the Secret.
    Logout(Box<LogoutArgs>),
    /// Show whether there is a login and how long it is valid; exit code 1 if a login is required.
    Whoami(WhoamiArgs),
    /// Print the versions of the plugin and the operator, and whether the CRDs are complete.
    Version(VersionArgs),
    /// Print a shell's script that completes kubectl-cde.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Answer kubectl's questions about completion.
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words after `kubectl cde`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// Access to Kubernetes, with the flags of kubectl.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes options")]
pub(crate) struct KubernetesArgs {
    /// Namespace of the requests, or of the operator for a login; default: the namespace of the context.
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// Context in the kubeconfig; default: the current one.
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// Kubeconfig file; default: the files in KUBECONFIG, otherwise ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// User to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) as_user: Option<String>,
    /// Timeout of one request to the API server, for example 10s; 0 for none.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    pub(crate) request_timeout: Duration,
}

/// Where the login is stored.
#[derive(Clone, Debug, Args)]
pub(crate) struct SecretArgs {
    /// Secret of the login; default: the one in the operator's Deployment.
    #[arg(long, env = "CDE_OAUTH_SECRET", value_name = "NAME")]
    pub(crate) secret: Option<String>,
    /// Deployment of the operator, whose environment variables are the defaults of the other flags; default: the one
    /// with the label app.kubernetes.io/name=cde-operator.
    #[arg(long, value_name = "DEPLOYMENT")]
    pub(crate) operator: Option<String>,
}

/// The client at the authorization server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Authorization server options")]
pub(crate) struct ClientArgs {
    /// Client ID of the operator at the authorization server.
    #[arg(long, env = "CDE_OAUTH_CLIENT_ID", value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Revocation endpoint.
    #[arg(long, env = "CDE_OAUTH_REVOCATION_URL", value_name = "URL")]
    pub(crate) revocation_url: Option<String>,
    /// File with the client secret, for a confidential client.
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// PEM file with additional CA certificates for the authorization server.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The flags of `login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Where the login is stored.
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// Print the URL instead of opening a browser, and read from standard input the URL that the browser was sent to.
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Port of 127.0.0.1 to which the browser is sent back; default: any free port.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
    /// Write the Secret as a manifest to standard output, and not to the cluster.
    #[arg(long)]
    pub(crate) print: bool,
    /// Replace a login without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How long to wait for the person in the browser.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) login_timeout: Duration,
    /// The client at the authorization server.
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Authorization endpoint, which the browser opens.
    #[arg(long, env = "CDE_OAUTH_AUTHORIZATION_URL", value_name = "URL")]
    #[arg(help_heading = "Authorization server options")]
    pub(crate) authorization_url: Option<String>,
    /// Token endpoint.
    #[arg(
        long,
        env = "CDE_OAUTH_TOKEN_URL",
        value_name = "URL",
        help_heading = "Authorization server options"
    )]
    pub(crate) token_url: Option<String>,
    /// Scopes to request, separated by spaces; default: those of the operator, otherwise those of the server.
    #[arg(long, env = "CDE_OAUTH_SCOPES", help_heading = "Authorization server options")]
    pub(crate) scopes: Option<String>,
    /// Issuer identifier that the server must send, if it sends one (RFC 9207); default: any with the scheme, host and
    /// port of the authorization endpoint.
    #[arg(long, value_name = "URL", help_heading = "Authorization server options")]
    pub(crate) issuer: Option<String>,
}

/// The flags of `logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// Where the login is stored.
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// Empty the Secret without revoking the login.
    #[arg(long)]
    pub(crate) skip_revocation: bool,
    /// The client at the authorization server.
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// The flags of `whoami`.
#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    /// Where the login is stored.
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// Authorization endpoint, of which the server is shown.
    #[arg(long, env = "CDE_OAUTH_AUTHORIZATION_URL", value_name = "URL")]
    pub(crate) authorization_url: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// The flags of `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Print the version of the plugin only, without contacting a cluster.
    #[arg(long)]
    pub(crate) client: bool,
    /// Deployment of the operator; default: the one with the label app.kubernetes.io/name=cde-operator.
    #[arg(long, value_name = "DEPLOYMENT")]
    pub(crate) operator: Option<String>,
}

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// Parses a duration as kubectl does: a number without a unit is in seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    match text.trim().parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_timeout_without_a_unit_is_in_seconds() {
        for (text, expected) in [("0", 0), ("7", 7), ("10s", 10), ("1m", 60)] {
            assert_eq!(timeout(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        assert!(timeout("soon").is_err() && timeout("-1").is_err());
    }

    #[test]
    fn the_flags_of_kubectl_may_be_before_or_after_the_command() {
        for args in [["kubectl-cde", "-n", "a", "whoami"], ["kubectl-cde", "whoami", "-n", "a"]] {
            let cli = Cli::try_parse_from(args).unwrap();
            assert_eq!(cli.kubernetes.namespace.as_deref(), Some("a"));
        }
    }
}
