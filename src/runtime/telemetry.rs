//! Logs: text for people, JSON for machines; the level comes from `RUST_LOG`.

use std::env;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is shown unless `RUST_LOG` says otherwise: the libraries' spans and retries are noise.
const DEFAULT_FILTER: &str = "info,kube_runtime=warn,kube_client=warn";

/// Begins to log to stderr.
///
/// # Errors
/// If `RUST_LOG` is no list of levels and targets.
pub fn start(format: LogFormat) -> Result<(), String> {
    let directives = env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let filter: Targets = directives.parse().map_err(|error| {
        format!("RUST_LOG={directives} cannot be used ({error}); write for example RUST_LOG=info,cde_operator=debug")
    })?;
    let lines = layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_target(false).with_ansi(colours).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    Ok(())
}
