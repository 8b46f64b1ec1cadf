//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Parser, Subcommand};

use crate::scenario::{ALL, Scenario, Size};
use crate::writer::WriterArgs;

/// Measures the operator against a bare writer, on a control plane of its own.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What to measure; everything unless named.
    #[arg(value_parser = names())]
    scenarios: Vec<String>,
    /// Runs of each scenario.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Objects (of each kind, where there are both) instead of each scenario's own number.
    #[arg(long)]
    objects: Option<usize>,
    /// Objects worked on at the same time instead of each scenario's own number.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,
    /// Minutes instead of each scenario's own.
    #[arg(long)]
    minutes: Option<f64>,
    /// Writes all values there too, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The operator's program, instead of the release build that is made otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) operator: Option<PathBuf>,
    /// One run of what takes seconds, with hardly any objects and all on one control plane: shows that the benchmark
    /// works, and measures nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Processes of the benchmark's own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A simulated CDE.
    #[command(hide = true)]
    Cde(CdeArgs),
    /// The bare writer.
    #[command(hide = true)]
    Write(WriterArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CdeArgs {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long)]
    pub(crate) token: String,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ALL.map(|scenario| PossibleValue::new(scenario.name).help(scenario.about)))
}

impl Args {
    /// Which scenarios are played, and in which size.
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
        ensure!(!programme.is_empty(), "nothing of this can be played in seconds: leave --smoke out");
        Ok(programme)
    }

    /// What is not used stays 0.
    fn size(&self, scenario: &Scenario) -> Option<Size> {
        let size = if self.smoke { scenario.smoke? } else { scenario.size };
        Some(Size {
            objects: self.objects.filter(|_| size.objects > 0).unwrap_or(size.objects),
            concurrency: self.concurrency.filter(|_| size.concurrency > 0).unwrap_or(size.concurrency),
            minutes: self.minutes.filter(|_| size.minutes > 0.0).unwrap_or(size.minutes),
        })
    }

    /// How often each scenario is played.
    pub(crate) fn runs(&self) -> usize {
        if self.smoke { 1 } else { usize::from(self.runs) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]

    use clap::CommandFactory as _;

    use super::*;

    fn programme(args: &[&str]) -> Vec<(&'static str, Size)> {
        let args = Args::parse_from([&["bench"], args].concat());
        args.programme().unwrap().into_iter().map(|(scenario, size)| (scenario.name, size)).collect()
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn everything_is_played_unless_named_and_in_its_own_size_unless_said() {
        assert_eq!(programme(&[]).len(), ALL.len());
        let own = ALL[0].size;
        assert_eq!(programme(&[ALL[0].name]), [(ALL[0].name, own)]);
        assert_eq!(programme(&[ALL[0].name, "--objects", "7"]), [(ALL[0].name, Size { objects: 7, ..own })]);
        let unused = programme(&[ALL[0].name, "--minutes", "7"]);
        assert_eq!(unused, [(ALL[0].name, own)], "what a scenario does not use stays unused");
    }
}
