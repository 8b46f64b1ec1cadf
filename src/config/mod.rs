//! Flags and environment: read here, once, into types; nowhere else.

mod selector;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

use crate::runtime::telemetry::{LogFormat, LogLevel};

/// Restores CDE connectors and rolls back their migrations, once, from Kubernetes manifests.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator.
    Run(Box<RunArgs>),
    /// Runs read-only preflight checks with the flags of `run`; exit code 0 if all of them pass, else 1.
    Check(Box<CheckArgs>),
    /// Prints the custom resource definitions, as YAML.
    Crds,
}

/// The flags of `run`, and those of the checks.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// What would run.
    #[command(flatten)]
    pub run: RunArgs,
    /// User whose permissions are checked, by impersonation, for example
    /// system:serviceaccount:cde-operator-system:cde-operator; your own unless set.
    #[arg(long = "as", value_name = "USER")]
    pub as_user: Option<String>,
    /// A connector that the token should be able to read; unless set, the check asks for one that cannot exist.
    #[arg(long, value_name = "UUID")]
    pub connector: Option<Uuid>,
    /// Format of the findings.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// Format of the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line each, coloured on a terminal.
    #[default]
    Text,
    /// One array of objects with `check`, `verdict` and `message`.
    Json,
}

/// Every flag has an environment variable of the same name with the prefix `CDE_`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Base address of the CDE API: https, or http for a loopback host.
    #[arg(long, env = "CDE_URL")]
    pub url: String,
    /// File that holds the bearer token; read again when it changes.
    #[arg(long, env = "CDE_TOKEN_FILE")]
    pub token_file: PathBuf,
    /// Allows http for hosts other than loopback: the token then crosses the network in the clear.
    #[arg(long, env = "CDE_ALLOW_HTTP", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_http: bool,
    /// Extra root certificates for the CDE API, PEM.
    #[arg(long, env = "CDE_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// For one whole call to the CDE API.
    #[arg(long, env = "CDE_TIMEOUT", default_value = "30s", value_parser = timeout)]
    pub timeout: Duration,
    /// Calls a second to the CDE API, all together; 0 for no limit.
    #[arg(long, env = "CDE_RATE", default_value_t = 10)]
    pub rate: u32,
    /// Objects worked on at the same time.
    #[arg(long, env = "CDE_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// First step of the backoff.
    #[arg(long, env = "CDE_RETRY_MIN", default_value = "1s", value_parser = humantime::parse_duration)]
    pub retry_min: Duration,
    /// Longest step of the backoff.
    #[arg(long, env = "CDE_RETRY_MAX", default_value = "5m", value_parser = humantime::parse_duration)]
    pub retry_max: Duration,
    /// Deadline of objects without deadlineSeconds; 0 for none.
    #[arg(long, env = "CDE_DEADLINE", default_value = "24h", value_parser = duration_or_zero)]
    pub deadline: Duration,
    /// Namespaces to watch, comma separated; all of them unless set.
    #[arg(long, env = "CDE_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Label selector: several operators share the work.
    #[arg(long, env = "CDE_SELECTOR")]
    pub selector: Option<String>,
    /// Work only while holding a Lease: for several replicas.
    #[arg(long, env = "CDE_LEADER_ELECTION", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub leader_election: bool,
    /// Where /livez, /readyz and /metrics are served; `[::]:8080` unless set, or 0.0.0.0:8080 where there is no IPv6.
    #[arg(long, env = "CDE_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// OpenTelemetry collector for traces, OTLP over HTTP; no traces unless this or `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    #[arg(long, env = "CDE_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Format of the log lines.
    #[arg(long, env = "CDE_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Lowest level of the log lines; `RUST_LOG` wins, and can set it for single modules.
    #[arg(long, env = "CDE_LOG_LEVEL", value_enum, default_value_t)]
    pub log_level: LogLevel,
    /// The pod's name; the host's unless set.
    #[arg(long, env = "POD_NAME", hide = true)]
    pub pod_name: Option<String>,
    /// The pod's namespace; the kubeconfig's unless set.
    #[arg(long, env = "POD_NAMESPACE", hide = true)]
    pub pod_namespace: Option<String>,
}

impl RunArgs {
    /// What no single flag can tell.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        if self.retry_min > self.retry_max {
            return Err("--retry-min is longer than --retry-max: make it the shorter one".to_owned());
        }
        if self.retry_max.is_zero() {
            return Err("--retry-max must be longer than 0s".to_owned());
        }
        if let Some(name) = self.namespaces.iter().find(|name| !is_namespace(name.trim())) {
            return Err(format!(
                "--namespaces has `{name}`, which is no namespace's name: write them as a,b,c"
            ));
        }
        self.selector.as_deref().map_or(Ok(()), selector::check)
    }

    /// The namespaces that are watched, in one order, each once; `None` for all of them at once.
    #[must_use]
    pub fn watched(&self) -> Vec<Option<String>> {
        let named: BTreeSet<&str> = self.namespaces.iter().map(|name| name.trim()).collect();
        if named.is_empty() {
            return vec![None];
        }
        named.into_iter().map(|namespace| Some(namespace.to_owned())).collect()
    }
}

/// RFC 1123 label, as Kubernetes has it for namespaces.
fn is_namespace(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Claims must be believed by others: one that is valid for more than an hour is taken for absurd.
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
