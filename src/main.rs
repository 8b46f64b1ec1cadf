//! The program. Exit codes: 0 after a signal or a successful command, 1 after a failure or a lost Lease, 2 for invalid
//! configuration.

use std::io::Write as _;
use std::process::ExitCode;

use cde_operator::api::{crds, crds_yaml};
use cde_operator::app;
use cde_operator::config::{CheckArgs, Cli, Command, Output};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

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
        Err(error) => return usage_error(&one_line(&error)),
    };
    match cli.command {
        Command::Crds => print_crds(),
        Command::Check(args) => check(&args),
        Command::Run(args) => match app::run(*args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(app::Error::Configuration(why)) => usage_error(&why),
            Err(app::Error::Failed(why)) => {
                tracing::error!("{why}");
                ExitCode::FAILURE
            }
        },
    }
}

fn check(args: &CheckArgs) -> ExitCode {
    let findings = app::check(args);
    let printed = match args.output {
        Output::Text => app::print_text(&findings, anstream::stdout().lock()),
        Output::Json => app::print_json(&findings, std::io::stdout().lock()),
    };
    let passed = findings.iter().all(|finding| finding.verdict == app::Verdict::Ok);
    if printed.is_ok() && passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints one sentence and returns exit code 2.
fn usage_error(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "cde-operator: {why}");
    ExitCode::from(2)
}

/// Returns clap's error without its usage and hints.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let shown = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let sentence = shown.collect::<Vec<_>>().join(" ");
    let sentence = sentence.trim_start_matches("error: ");
    format!("{sentence} (see {} --help)", subcommand())
}

/// Returns the command to ask for help: with the subcommand that was used, if there is one.
fn subcommand() -> String {
    let used = std::env::args().nth(1).filter(|name| Cli::command().find_subcommand(name).is_some());
    used.map_or_else(|| "cde-operator".to_owned(), |name| format!("cde-operator {name}"))
}

fn print_crds() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for crd in crds() {
        let Ok(yaml) = crds_yaml(&crd) else { return ExitCode::FAILURE };
        if write!(out, "---\n{yaml}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
