//! Finished requests that stay in the cluster: what they cost an operator at startup.

use std::time::Duration;

use anyhow::Result;
use cde_sandbox::cde::Remote;

use super::{Scenario, Size};
use crate::crowd::Crowd;
use crate::figure::{Figures, Goal};
use crate::kind::Each;
use crate::ledger::Ledger;
use crate::race::timed;
use crate::script;
use crate::stage::Stage;
use crate::statistics::count;
use crate::traffic::Traffic;
use crate::usage::{Usage, megabytes};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "history",
    about: "an operator starts with no succeeded objects, with a fifth of --objects, and with all of them",
    size: Size { objects: 50_000, concurrency: 0, minutes: 0.0 },
    smoke: Some(Size { objects: 200, concurrency: 0, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

/// The time after which a started operator has done all its work.
const SETTLED: Duration = Duration::from_secs(1);

/// The cost of one start.
struct Start {
    /// Milliseconds.
    ready: f64,
    /// MB.
    resident: f64,
    peak: f64,
    writes: f64,
    calls: f64,
}

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let cde = stage.cde().await?;
    let reasons = Each { restore: "Restored", rollback: "RolledBack" };
    let like = script::objects_with(stage, &cde, &["--rate", "0"], reasons).await?;
    let namespace = stage.namespace("history").await?;
    let empty = start(stage, &cde, &namespace).await?;
    let mut figures = Figures::default();
    figures.add("no objects: time to ready", "ms", empty.ready);
    figures.add("no objects: memory", "MB", empty.resident);
    figures.add("no objects: peak memory", "MB", empty.peak);
    let mut there = 0;
    for total in [size.objects / 5, size.objects] {
        let crowd = Crowd::new(&namespace, (total - there) / 2);
        crowd.store(stage, &like, |_, _| ()).await?;
        there += crowd.len();
        let start = start(stage, &cde, &namespace).await?;
        let more = start.ready - empty.ready;
        figures.judge(format!("{total}: additional time to ready"), "ms", more, Goal::AtMost(1000.0));
        let more = start.resident - empty.resident;
        figures.judge(format!("{total}: additional memory"), "MB", more, Goal::AtMost(5.0));
        figures.add(format!("{total}: peak memory"), "MB", start.peak);
        figures.judge(format!("{total}: writes"), "", start.writes, Goal::AtMost(0.0));
        figures.judge(format!("{total}: calls to the CDE"), "", start.calls, Goal::AtMost(0.0));
    }
    Ok(figures)
}

async fn start(stage: &Stage, cde: &Remote, namespace: &str) -> Result<Start> {
    let calls = Ledger::of(cde).await?.calls.len();
    let (operator, took) = timed(stage.operator(cde, namespace, &[])).await?;
    tokio::time::sleep(SETTLED).await;
    let usage = Usage::of(operator.process_id())?;
    operator.stop().await?;
    Ok(Start {
        ready: 1000.0 * took.as_secs_f64(),
        resident: usage.megabytes(),
        peak: megabytes(usage.peak),
        writes: count(Traffic::of(stage, namespace)?.writes()),
        calls: count(Ledger::of(cde).await?.calls.len() - calls),
    })
}
