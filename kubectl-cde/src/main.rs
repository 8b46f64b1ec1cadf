//! `kubectl cde`: the tool of the people who work with cde-operator.
//!
//! - [`cli`]: flags and environment variables, read once.
//! - [`command`]: one file per command.
//! - [`authorization`]: asks a person for an authorization code, through a browser.
//! - [`request`]: the operator's custom resources. [`story`], [`runbook`]: what happened to one, and what to do.
//! - [`output`], [`table`], [`progress`], [`prompt`]: the formats of kubectl, and what people see.
//! - [`cluster`], [`crds`], [`deployment`], [`login_secret`]: what the commands need of Kubernetes.
//! - [`settings`]: who the authorization server is.
//! - [`error`]: errors as one sentence, with their exit codes.
//!
//! Exit codes: 0 success, 1 something failed or needs a login, 2 wrong flags or configuration, 3 Kubernetes could not be
//! reached or refused. No output shows a token, a code, a verifier or a client secret, except that of `--print`.

#![warn(clippy::disallowed_methods, clippy::too_many_lines)]

mod authorization;
mod cli;
mod cluster;
mod command;
mod crds;
mod deployment;
mod error;
mod login_secret;
mod output;
mod progress;
mod prompt;
#[cfg(test)]
mod reference;
mod request;
mod runbook;
mod settings;
mod story;
mod table;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::error::Error;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => return fail(&Error::Usage(one_line(&error))),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Error> {
    // An error only means that a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Usage(format!("cannot start: {error}")))?.block_on(command::run(cli))
}

fn fail(error: &Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(error.exit_code())
}

/// Returns clap's error without its usage and hints.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let shown = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let sentence = shown.collect::<Vec<_>>().join(" ");
    format!("{} (see kubectl cde --help)", sentence.trim_start_matches("error: "))
}
