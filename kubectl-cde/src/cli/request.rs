//! The flags of the commands that create, show and change requests.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::output::Format;
use crate::request::Kind;

/// The connectors of new requests.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetArgs {
    /// Connector IDs.
    #[arg(value_name = "CONNECTOR")]
    pub(crate) connectors: Vec<String>,
    /// File with one connector ID per line, an optional version after it, and comments that begin with #; or CSV with
    /// the columns connector, version and name, which becomes part of the request's name. - for standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: Option<String>,
}

/// What new requests of both kinds have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateArgs {
    /// The connectors.
    #[command(flatten)]
    pub(crate) targets: TargetArgs,
    /// No attempt begins after this time: a duration from now, or an RFC 3339 time.
    #[arg(long, value_name = "DURATION|TIME", default_value = "1h", value_parser = not_after, allow_hyphen_values = true)]
    pub(crate) not_after: Timestamp,
    /// Name of the request; for one connector only. Default: the kind, the connector and the date.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Labels for the requests.
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Create the requests suspended: each shows what it would do and waits for `kubectl cde resume`.
    #[arg(long)]
    pub(crate) suspend: bool,
    /// Create the requests suspended and start so many at a time: the next when those before have ended.
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "output")]
    pub(crate) batch_size: Option<usize>,
    /// Stop when more than N requests of the batch have failed.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "batch_size")]
    pub(crate) max_failures: usize,
    /// Create nothing: print the manifests (client), or let the API server check them (server).
    #[arg(long, value_name = "WHERE", value_enum, num_args = 0..=1, default_missing_value = "client")]
    #[arg(require_equals = true)]
    pub(crate) dry_run: Option<DryRun>,
    /// Output format: name, yaml, json or jsonpath=TEMPLATE.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Write one manifest file per request into this directory, and create nothing.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["output", "dry_run"])]
    pub(crate) output_dir: Option<PathBuf>,
}

/// The flags of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// What both kinds have in common.
    #[command(flatten)]
    pub(crate) create: CreateArgs,
    /// Version to roll back where the list names none: main, latest or a major number.
    #[arg(long, default_value = "main")]
    pub(crate) version: String,
    /// Show first what the rollbacks would do, and write preconditions from it, so that they hit only the releases that
    /// you have seen. With --batch-size, the batches start after that.
    #[arg(long, conflicts_with_all = ["dry_run", "output_dir", "output"])]
    pub(crate) pin: bool,
    /// How long --pin waits for the previews.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = super::timeout)]
    pub(crate) preview_timeout: Duration,
    /// Do not ask before pinned rollbacks start, or before connectors are rolled back again.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// The flags of `preview`.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Suspended requests: names, KIND/NAME or connector IDs; default: all of the namespace.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Label selector.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["names", "filename"])]
    pub(crate) selector: Option<String>,
    /// File with connectors, as for rollback: create suspended requests for them.
    #[arg(short, long, value_name = "FILE", conflicts_with = "names")]
    pub(crate) filename: Option<String>,
    /// Kind of the requests to create.
    #[arg(long, value_enum, default_value = "rollback", requires = "filename")]
    pub(crate) kind: Kind,
    /// Version to roll back where the list names none.
    #[arg(long, default_value = "main", requires = "filename")]
    pub(crate) version: String,
    /// End of the window of the requests to create: a duration from now, or an RFC 3339 time.
    #[arg(long, value_name = "DURATION|TIME", default_value = "1h", value_parser = not_after, requires = "filename")]
    #[arg(allow_hyphen_values = true)]
    pub(crate) not_after: Timestamp,
    /// How long to wait for the previews.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = super::timeout)]
    pub(crate) timeout: Duration,
    /// Output format: name, yaml, json or jsonpath=TEMPLATE.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

/// Where a dry run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// The manifests are printed.
    Client,
    /// The API server checks the requests.
    Server,
}

/// Parses an end of the window in which a request may begin attempts.
pub(super) fn not_after(text: &str) -> Result<Timestamp, String> {
    let now = cde_operator::runtime::clock::now();
    let duration = |text: &str| humantime::parse_duration(text).ok();
    let time = match (duration(text), text.strip_prefix('-').and_then(duration)) {
        (Some(duration), _) => now.checked_add(duration).map_err(|error| error.to_string())?,
        (None, Some(ago)) => now.checked_sub(ago).map_err(|error| error.to_string())?,
        (None, None) => text.parse().map_err(|_| {
            "write a duration such as 2h, or an RFC 3339 time such as 2026-11-30T00:00:00Z".to_owned()
        })?,
    };
    if time <= now {
        return Err(format!("{time:.0} is in the past, so no attempt would begin"));
    }
    Timestamp::from_second(time.as_second()).map_err(|error| error.to_string())
}

/// Parses a number of at least one.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a number from 1".to_owned())
}

/// Parses KEY=VALUE. The API server checks the rest.
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_has_passed_is_refused() {
        assert!(not_after("2020-01-01T00:00:00Z").unwrap_err().contains("is in the past"));
        assert!(not_after("-1h").unwrap_err().contains("is in the past"));
        assert!(not_after("0s").is_err() && not_after("tomorrow").unwrap_err().contains("RFC 3339"));
        assert!(not_after("2h").unwrap() > cde_operator::runtime::clock::now());
    }

    #[test]
    fn a_label_has_a_key() {
        assert_eq!(label("a/b=c"), Ok(("a/b".to_owned(), "c".to_owned())));
        assert!(label("a").is_err() && label("=c").is_err());
    }
}
