//! Runs the requested scenarios and reports their results.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cde_sandbox::process;
use cde_sandbox::program::{self, Profile};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::Args;
use crate::report::{Report, Run};
use crate::scenario::{Scenario, Size};
use crate::stage::Stage;
use crate::usage::load;

/// Runs each scenario as often as requested, and prints its table when its last run ends.
///
/// # Errors
/// If something cannot be built, started or measured, or with `--check`, if a goal is missed.
pub(crate) async fn play(args: &Args) -> Result<()> {
    let programme = args.programme()?;
    let operator = operator(args.operator.as_deref()).await?;
    let common = if args.smoke { Some(Stage::set(&operator, 0).await?) } else { None };
    let started = Timestamp::now();
    let (mut reports, mut missed): (Vec<Value>, Vec<String>) = Default::default();
    for (scenario, size) in programme {
        let mut runs = Vec::new();
        for run in 0..args.runs() {
            note(&format!("{}, run {} of {}", scenario.name, run + 1, args.runs()));
            let played = match &common {
                Some(stage) => measure(scenario, &size, stage).await,
                None => measure(scenario, &size, &Stage::set(&operator, run).await?).await,
            };
            runs.push(played.with_context(|| format!("{}, run {}", scenario.name, run + 1))?);
        }
        let report = Report { scenario, size, runs };
        writeln!(std::io::stdout(), "{}", report.text())?;
        reports.push(report.json());
        missed.extend(report.missed().map(|name| format!("{}: {name}", scenario.name)));
        if let Some(file) = &args.json {
            // Written after each scenario, so that an interrupted benchmark keeps its results.
            let all = json!({"started": started, "cores": cores(), "scenarios": reports});
            std::fs::write(file, format!("{all:#}\n")).with_context(|| format!("{}", file.display()))?;
        }
    }
    ensure!(!args.check || missed.is_empty(), "goals were missed: {}", missed.join("; "));
    Ok(())
}

async fn measure(scenario: &Scenario, size: &Size, stage: &Stage) -> Result<Run> {
    let before = load()?;
    let figures = (scenario.run)(stage, size).await?;
    Ok(Run { figures, load: [before, load()?] })
}

/// Returns the operator binary `program`, or a new release build.
///
/// # Errors
/// If it cannot be built.
pub(crate) async fn operator(program: Option<&Path>) -> Result<PathBuf> {
    // Fails if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(program) = program {
        return Ok(program.to_owned());
    }
    let scratch = process::scratch_dir()?;
    built(scratch.path()).await
}

async fn built(scratch: &Path) -> Result<PathBuf> {
    note("building the operator");
    program::build("cde-operator", Profile::Release, scratch).await
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// Prints progress; a closed standard error does not end the benchmark.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {line}");
}
