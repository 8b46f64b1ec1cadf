//! Flags and environment variables.

mod oauth;
mod selector;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

use crate::runtime::telemetry::{LogFormat, LogLevel};

pub use oauth::OauthArgs;

/// A Kubernetes operator that restores deleted CDE connectors and rolls back connector migrations, at most once per
/// request.
#[derive(Debug, Parser)]
#[command(version = crate::VERSION, about, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(Box<RunArgs>),
    /// Run read-only preflight checks with the flags of `run`; exit code 0 if all pass, otherwise 1.
    Check(Box<CheckArgs>),
    /// Print the CRDs as YAML.
    Crds,
}

/// The flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The flags of `run`.
    #[command(flatten)]
    pub run: RunArgs,
    /// User to impersonate for the permission checks, for example
    /// system:serviceaccount:cde-operator-system:cde-operator; default: yourself.
    #[arg(long = "as", value_name = "USER")]
    pub as_user: Option<String>,
    /// Connector that the token must be able to read; default: one that cannot exist, which tests only the token.
    #[arg(long, value_name = "UUID")]
    pub connector: Option<Uuid>,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// The output format of `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line per finding, colored on a terminal.
    #[default]
    Text,
    /// A JSON array of objects with `check`, `verdict` and `message`.
    Json,
}

/// The flags of `run`. Every flag has an environment variable with the prefix `CDE_`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Base URL of the CDE API: https, or http for a loopback host.
    #[arg(long, env = "CDE_URL")]
    pub url: String,
    /// File with the bearer token, reread when it changes; or set --oauth-secret.
    #[arg(long, env = "CDE_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Allow http for hosts other than loopback, which sends the token unencrypted.
    #[arg(long, env = "CDE_ALLOW_HTTP", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_http: bool,
    /// PEM file with additional CA certificates for the CDE API and the authorization server.
    #[arg(long, env = "CDE_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Timeout of one whole call to the CDE API or the authorization server.
    #[arg(long, env = "CDE_TIMEOUT", default_value = "30s", value_parser = timeout)]
    pub timeout: Duration,
    /// Maximum calls per second to the CDE API; 0 for no limit.
    #[arg(long, env = "CDE_RATE", default_value_t = 10)]
    pub rate: u32,
    /// Maximum number of concurrent reconciliations.
    #[arg(long, env = "CDE_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// First backoff between attempts.
    #[arg(long, env = "CDE_RETRY_MIN", default_value = "1s", value_parser = humantime::parse_duration)]
    pub retry_min: Duration,
    /// Longest backoff between attempts.
    #[arg(long, env = "CDE_RETRY_MAX", default_value = "5m", value_parser = humantime::parse_duration)]
    pub retry_max: Duration,
    /// Deadline of objects without deadlineSeconds; 0 for none.
    #[arg(long, env = "CDE_DEADLINE", default_value = "24h", value_parser = duration_or_zero)]
    pub deadline: Duration,
    /// Namespaces to watch, separated by commas; default: all.
    #[arg(long, env = "CDE_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Label selector of the objects to watch, to divide the work between several operators.
    #[arg(long, env = "CDE_SELECTOR")]
    pub selector: Option<String>,
    /// Work only while holding a Lease, for several replicas.
    #[arg(long, env = "CDE_LEADER_ELECTION", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub leader_election: bool,
    /// Address of /livez, /readyz and /metrics; default: `[::]:8080`, or 0.0.0.0:8080 on hosts without IPv6.
    #[arg(long, env = "CDE_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// OpenTelemetry collector for traces (OTLP over HTTP); default: `OTEL_EXPORTER_OTLP_ENDPOINT`, or no traces.
    #[arg(long, env = "CDE_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Log format.
    #[arg(long, env = "CDE_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Minimum log level; overridden by `RUST_LOG`, which can also set levels for single modules.
    #[arg(long, env = "CDE_LOG_LEVEL", value_enum, default_value_t)]
    pub log_level: LogLevel,
    /// Name of the Pod; default: the host name.
    #[arg(long, env = "POD_NAME", hide = true)]
    pub pod_name: Option<String>,
    /// Namespace of the Pod; default: that of the kubeconfig.
    #[arg(long, env = "POD_NAMESPACE", hide = true)]
    pub pod_namespace: Option<String>,
    /// The flags of the login mode.
    #[command(flatten)]
    pub oauth: OauthArgs,
}

impl RunArgs {
    /// Checks rules that clap cannot express.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        self.oauth.check(self.token_file.is_some())?;
        if self.retry_min > self.retry_max {
            return Err("--retry-min is longer than --retry-max: make it shorter or equal".to_owned());
        }
        if self.retry_max.is_zero() {
            return Err("--retry-max must be longer than 0s".to_owned());
        }
        if let Some(name) = self.namespaces.iter().find(|name| !is_namespace(name.trim())) {
            return Err(format!(
                "--namespaces has `{name}`, which is not a namespace name: write them as a,b,c"
            ));
        }
        self.selector.as_deref().map_or(Ok(()), selector::check)
    }

    /// Returns the namespaces to watch, sorted and without duplicates; `None` for all namespaces.
    #[must_use]
    pub fn watched(&self) -> Vec<Option<String>> {
        let named: BTreeSet<&str> = self.namespaces.iter().map(|name| name.trim()).collect();
        if named.is_empty() {
            return vec![None];
        }
        named.into_iter().map(|namespace| Some(namespace.to_owned())).collect()
    }
}

/// Whether `name` is an RFC 1123 label.
fn is_namespace(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Other operators treat a claim of more than an hour as absurd.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(55);

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if timeout < Duration::from_millis(100) || timeout > LONGEST_TIMEOUT {
        return Err("must be between 100ms and 55m".to_owned());
    }
    Ok(timeout)
}

fn duration_or_zero(text: &str) -> Result<Duration, humantime::DurationError> {
    if text.trim() == "0" { Ok(Duration::ZERO) } else { humantime::parse_duration(text) }
}
