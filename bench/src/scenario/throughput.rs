//! The maximum throughput with new objects of each kind and a CDE that responds at once.

use std::time::Duration;

use anyhow::Result;

use super::{Scenario, Size};
use crate::figure::{Figures, Goal};
use crate::race::{Race, Runner};
use crate::stage::Stage;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "throughput",
    about: "new objects of each kind, with a CDE that responds at once: the operator against a bare worker, which does the same I/O and nothing else, and a bare writer of the same statuses and Events",
    size: Size { objects: 3000, concurrency: 32, minutes: 0.0 },
    // Enough that each program uses more CPU time than the 10 ms in which the kernel counts.
    smoke: Some(Size { objects: 150, concurrency: 4, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let race = Race::prepare(stage, size.objects, size.concurrency, Duration::ZERO).await?;
    let [writer, worker, operator] = race.laps([Runner::Writer, Runner::Worker, Runner::Operator]).await?;
    let mut figures = Figures::default();
    figures.add("bare writer", "objects/s", writer.throughput());
    figures.add("bare worker", "objects/s", worker.throughput());
    figures.add("operator", "objects/s", operator.throughput());
    figures.add("operator / bare writer", "", operator.throughput() / writer.throughput());
    let ratio = operator.throughput() / worker.throughput();
    figures.judge("operator / bare worker", "", ratio, Goal::AtLeast(0.97));
    figures.add("CPU of the bare writer", "ms/object", writer.cpu());
    figures.add("CPU of the bare worker", "ms/object", worker.cpu());
    figures.add("CPU of the operator", "ms/object", operator.cpu());
    figures.add("CPU of the operator / bare writer", "", operator.cpu() / writer.cpu());
    let ratio = operator.cpu() / worker.cpu();
    figures.judge("CPU of the operator / bare worker", "", ratio, Goal::AtMost(1.3));
    figures.add("CPU of etcd and kube-apiserver for the bare writer", "ms/object", writer.servers_cpu());
    figures.add("the same for the bare worker", "ms/object", worker.servers_cpu());
    figures.add("the same for the operator", "ms/object", operator.servers_cpu());
    figures.add("Events of the operator", "1/object", operator.events);
    figures.add("peak memory of the bare worker", "MB", worker.peak);
    figures.judge("peak memory of the operator", "MB", operator.peak, Goal::AtMost(40.0));
    Ok(figures)
}
