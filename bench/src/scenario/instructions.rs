//! The instructions of the operator and of the bare worker per object, counted by Valgrind. They do not depend on the
//! machine's load, so a regression shows in one run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cde_sandbox::cde::Remote;
use cde_sandbox::process;

use super::per_object::Runs;
use super::{Scenario, Size};
use crate::crowd::Crowd;
use crate::figure::{Figures, Goal};
use crate::stage::Stage;
use crate::worker;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "instructions",
    about: "instructions per object, one object at a time, counted by Valgrind: the operator against the bare worker",
    size: Size { objects: 300, concurrency: 0, minutes: 0.0 },
    // Valgrind may be missing.
    smoke: None,
    run: |stage, size| Box::pin(run(stage, size)),
};

/// Thousands of instructions per object that the program of the image needs, as last measured. A regression is 5% more.
const KNOWN: f64 = 1196.0;

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let runs = Runs::prepare(stage, size.objects).await?;
    let (mut worker, mut operator) = ([0.0; 2], [0.0; 2]);
    for ((each, worker), operator) in runs.sizes.into_iter().zip(&mut worker).zip(&mut operator) {
        let (crowd, cde) = runs.begin(each).await?;
        *worker = by_worker(stage, &crowd, &cde).await?;
        let (counted, valgrind) = counting(stage);
        runs.operate(&script(stage, &valgrind)?, each).await?;
        *operator = instructions(&counted)?;
    }
    let [worker, operator] = [worker, operator].map(|counts| runs.difference(counts));
    let mut figures = Figures::default();
    figures.add("bare worker", "thousands/object", worker / 1000.0);
    figures.judge("operator", "thousands/object", operator / 1000.0, Goal::AtMost((1.05 * KNOWN).round()));
    figures.add("operator / bare worker", "", operator / worker);
    Ok(figures)
}

async fn by_worker(stage: &Stage, crowd: &Crowd, cde: &Remote) -> Result<f64> {
    let (counted, mut valgrind) = counting(stage);
    let command = worker::command(stage, cde, &crowd.namespace, 1, Some(crowd.len())).await?;
    valgrind.arg(command.get_program()).args(command.get_args()).arg("--silent");
    valgrind.env("KUBECONFIG", &stage.kubeconfig);
    let output = process::output(valgrind, b"").await?;
    ensure!(
        output.status.success(),
        "the bare worker or Valgrind failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    instructions(&counted)
}

/// Returns the file for the count, and the beginning of a command line that counts.
fn counting(stage: &Stage) -> (PathBuf, Command) {
    let counted = stage.file("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", counted.display()));
    (counted, valgrind)
}

/// Writes a program that runs the operator under Valgrind.
fn script(stage: &Stage, valgrind: &Command) -> Result<PathBuf> {
    let program = stage.file("counted");
    let words = [valgrind.get_program()].into_iter().chain(valgrind.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let text = format!("#!/bin/sh\nexec {} '{}' \"$@\"\n", words.join(" "), stage.program().display());
    fs::write(&program, text)?;
    fs::set_permissions(&program, Permissions::from_mode(0o700))?;
    Ok(program)
}

/// Reads Valgrind's total.
fn instructions(counted: &Path) -> Result<f64> {
    let text = fs::read_to_string(counted).context("Valgrind wrote no count")?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("Valgrind wrote no total")?.trim().parse()?)
}
