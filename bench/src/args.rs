//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Parser, Subcommand};
use reqwest::Url;

use crate::peer::PeerArgs;
use crate::scenario::{ALL, Scenario, Size};
use crate::worker::WorkerArgs;
use crate::writer::WriterArgs;

/// Measures the operator against a bare worker, on its own control plane.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The scenarios to run; all of them by default.
    #[arg(value_parser = names())]
    scenarios: Vec<String>,
    /// The number of runs of each scenario.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// The number of objects (of each kind, where a scenario has both), instead of each scenario's default.
    #[arg(long)]
    objects: Option<usize>,
    /// The number of objects processed at the same time, instead of each scenario's default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,
    /// The duration in minutes, instead of each scenario's default.
    #[arg(long)]
    minutes: Option<f64>,
    /// Also writes all values to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The operator binary to measure, instead of a new release build.
    #[arg(long, value_name = "FILE")]
    pub(crate) operator: Option<PathBuf>,
    /// Fails if a goal is missed.
    #[arg(long)]
    pub(crate) check: bool,
    /// Runs the scenarios that take seconds once, with few objects and on one control plane. This shows that the
    /// benchmark works; the measurements mean nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What is no scenario: a comparison, and child processes of the benchmark.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measures custom resources of others, or Jobs, side by side with the operator.
    Peer(PeerArgs),
    /// Serves a simulated CDE.
    #[command(hide = true)]
    Cde(CdeArgs),
    /// Runs the bare worker.
    #[command(hide = true)]
    Work(WorkerArgs),
    /// Runs the bare writer.
    #[command(hide = true)]
    Write(WriterArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CdeArgs {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long)]
    pub(crate) token: String,
    /// Introspection endpoint of an authorization server whose tokens are accepted, too.
    #[arg(long)]
    pub(crate) introspection: Option<Url>,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ALL.map(|scenario| PossibleValue::new(scenario.name).help(scenario.about)))
}

impl Args {
    /// Returns the scenarios to run, each with its size.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn programme(&self) -> Result<Vec<(&'static Scenario, Size)>> {
        let named = |scenario: &Scenario| {
            self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario.name)
        };
        let chosen = ALL.into_iter().filter(|scenario| named(scenario));
        let programme: Vec<_> =
            chosen.filter_map(|scenario| Some((scenario, self.size(scenario)?))).collect();
        ensure!(!programme.is_empty(), "none of these scenarios can run with --smoke");
        Ok(programme)
    }

    /// Returns the size of a scenario; what the scenario does not use stays 0.
    fn size(&self, scenario: &Scenario) -> Option<Size> {
        let size = if self.smoke { scenario.smoke? } else { scenario.size };
        Some(Size {
            objects: self.objects.filter(|_| size.objects > 0).unwrap_or(size.objects),
            concurrency: self.concurrency.filter(|_| size.concurrency > 0).unwrap_or(size.concurrency),
            minutes: self.minutes.filter(|_| size.minutes > 0.0).unwrap_or(size.minutes),
        })
    }

    /// Returns how often each scenario runs.
    pub(crate) fn runs(&self) -> usize {
        if self.smoke { 1 } else { usize::from(self.runs) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use clap::CommandFactory as _;

    use super::*;

    fn programme(args: &[&str]) -> Vec<(&'static str, Size)> {
        let args = Args::parse_from([&["bench"], args].concat());
        args.programme().unwrap().into_iter().map(|(scenario, size)| (scenario.name, size)).collect()
    }

    #[test]
    fn the_command_line_is_valid() {
        Args::command().debug_assert();
    }

    #[test]
    fn all_scenarios_run_by_default_and_flags_override_sizes() {
        assert_eq!(programme(&[]).len(), ALL.len());
        let own = ALL[0].size;
        assert_eq!(programme(&[ALL[0].name]), [(ALL[0].name, own)]);
        assert_eq!(programme(&[ALL[0].name, "--objects", "7"]), [(ALL[0].name, Size { objects: 7, ..own })]);
        let unused = programme(&[ALL[0].name, "--minutes", "7"]);
        assert_eq!(unused, [(ALL[0].name, own)], "a flag that a scenario does not use changes nothing");
    }
}
