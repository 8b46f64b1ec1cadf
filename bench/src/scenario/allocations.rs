//! The allocations of the operator per object, by a counting allocator.

use anyhow::{Context, Result};
use cde_sandbox::program::{Profile, build};
use serde::Deserialize;

use super::per_object::Runs;
use super::{Scenario, Size};
use crate::figure::Figures;
use crate::stage::Stage;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "allocations",
    about: "allocations of the operator per object, one object at a time, by a counting allocator",
    size: Size { objects: 300, concurrency: 0, minutes: 0.0 },
    smoke: Some(Size { objects: 6, concurrency: 0, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

/// What the counted operator prints at the end.
#[derive(Clone, Copy, Default, Deserialize)]
struct Counts {
    allocations: f64,
    bytes: f64,
}

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    // As the tests build it, so that they need no other build. Optimization could only remove allocations.
    let program = build("counted-operator", Profile::Dev, &stage.file("")).await?;
    let runs = Runs::prepare(stage, size.objects).await?;
    let mut counts = [Counts::default(); 2];
    for (each, counts) in runs.sizes.into_iter().zip(&mut counts) {
        let log = std::fs::read_to_string(runs.operate(&program, each).await?)?;
        let printed = log.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        *counts = printed.context("the operator printed no counts")?;
    }
    let mut figures = Figures::default();
    figures.add("allocations", "1/object", runs.difference(counts.map(|it| it.allocations)));
    figures.add("bytes allocated", "kB/object", runs.difference(counts.map(|it| it.bytes)) / 1000.0);
    Ok(figures)
}
