//! The flags of the commands that show and change existing requests.

use std::time::Duration;

use cde_operator::api::Reason;
use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::request::{not_after, positive};
use crate::output::Format;

/// Which requests.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SelectArgs {
    /// Names, with the kind before them if both kinds have one (mrb/NAME); a connector ID stands for all requests for
    /// that connector.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Label selector.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["names", "filename"])]
    pub(crate) selector: Option<String>,
    /// Field selector, for example status.outcome=Failed.
    #[arg(long, value_name = "SELECTOR", conflicts_with_all = ["names", "filename"])]
    pub(crate) field_selector: Option<String>,
    /// Only requests with this reason; may be repeated.
    #[arg(long = "reason", value_name = "REASON", value_parser = PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)))]
    #[arg(hide_possible_values = true)]
    pub(crate) reasons: Vec<String>,
    /// File with one name or connector ID per line, or a list of connectors as for rollback; - for standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["names", "filename"])]
    pub(crate) all_namespaces: bool,
}

/// The flags of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Which requests; default: all of the namespace.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Output format: wide, name, yaml, json or jsonpath=TEMPLATE. wide also lists what is done, and whole messages.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Go on with a line per change, and a progress bar on a terminal.
    #[arg(short, long, conflicts_with = "output")]
    pub(crate) watch: bool,
}

/// The flags of `describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Name, KIND/NAME or connector ID.
    pub(crate) name: String,
}

/// The flags of `retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Which requests.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Move the end of the window: a duration from now, or an RFC 3339 time. Needed where it has passed.
    #[arg(long, value_name = "DURATION|TIME", value_parser = not_after, allow_hyphen_values = true)]
    pub(crate) not_after: Option<Timestamp>,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// The flags of `suspend`.
#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    /// Which requests.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// The flags of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Which requests. The label cde.productsup.com/batch alone goes on with a list in batches.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Start so many at a time; default: as the list was created. Only for a list in batches.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) batch_size: Option<usize>,
    /// Stop when more than N requests of the batch have failed; default: as the list was created. Only for a list in
    /// batches.
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<usize>,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// The flags of `wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Which requests.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = super::timeout)]
    pub(crate) timeout: Duration,
}

/// The flags of `confirm`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("outcome").required(true)))]
pub(crate) struct ConfirmArgs {
    /// Name, KIND/NAME or connector ID.
    pub(crate) name: String,
    /// The CDE shows that the request had its effect.
    #[arg(long, group = "outcome")]
    pub(crate) succeeded: bool,
    /// The CDE shows that the request had no effect.
    #[arg(long, group = "outcome")]
    pub(crate) failed: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}
