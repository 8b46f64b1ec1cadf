//! The same as `throughput` with a slow CDE: whether all workers are busy with calls.

use std::time::Duration;

use anyhow::Result;

use super::{Scenario, Size};
use crate::figure::{Figures, Goal};
use crate::race::{Race, Runner};
use crate::stage::Stage;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slow-api",
    about: "new objects of each kind, with CDE calls that take 200 ms, against what the calls and the bare worker allow",
    size: Size { objects: 3000, concurrency: 32, minutes: 0.0 },
    smoke: Some(Size { objects: 4, concurrency: 8, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

const DELAY: Duration = Duration::from_millis(200);
/// A restore is one call, a rollback a read and a call.
const CALLS: f64 = 1.5;

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let race = Race::prepare(stage, size.objects, size.concurrency, DELAY).await?;
    let [worker, operator] = race.laps([Runner::Worker, Runner::Operator]).await?;
    let calls = f64::from(size.concurrency) / DELAY.as_secs_f64() / CALLS;
    let mut figures = Figures::default();
    figures.add("concurrency / 200 ms / 1.5 calls per object", "objects/s", calls);
    figures.add("bare worker", "objects/s", worker.throughput());
    figures.add("operator", "objects/s", operator.throughput());
    figures.add("operator / concurrency / 200 ms / 1.5 calls per object", "", operator.throughput() / calls);
    let ratio = operator.throughput() / worker.throughput();
    figures.judge("operator / bare worker", "", ratio, Goal::AtLeast(0.97));
    figures.add("CPU of the bare worker", "ms/object", worker.cpu());
    figures.add("CPU of the operator", "ms/object", operator.cpu());
    figures.add("peak memory of the operator", "MB", operator.peak);
    Ok(figures)
}
