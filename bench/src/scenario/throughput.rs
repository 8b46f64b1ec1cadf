//! The maximum throughput with new objects of each kind and a CDE that responds at once.

use std::time::Duration;

use anyhow::Result;

use super::{Scenario, Size};
use crate::figure::{Figures, Goal};
use crate::race::{Race, Runner};
use crate::stage::Stage;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "throughput",
    about: "new objects of each kind, with a CDE that responds at once: the operator against a bare writer of the same statuses",
    size: Size { objects: 3000, concurrency: 32, minutes: 0.0 },
    // Enough that each program uses more CPU time than the 10 ms in which the kernel counts.
    smoke: Some(Size { objects: 150, concurrency: 4, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let race = Race::prepare(stage, size.objects, size.concurrency, Duration::ZERO).await?;
    let [writer, publisher, operator] =
        race.laps([Runner::Writer, Runner::WriterWithEvents, Runner::Operator]).await?;
    let mut figures = Figures::default();
    figures.add("bare writer", "objects/s", writer.throughput());
    figures.add("bare writer with Events", "objects/s", publisher.throughput());
    figures.add("operator", "objects/s", operator.throughput());
    figures.add("operator / bare writer", "", operator.throughput() / writer.throughput());
    let ratio = operator.throughput() / publisher.throughput();
    figures.judge("operator / bare writer with Events", "", ratio, Goal::AtLeast(0.95));
    figures.add("CPU of the bare writer", "ms/object", writer.cpu());
    figures.add("CPU of the bare writer with Events", "ms/object", publisher.cpu());
    figures.add("CPU of the operator", "ms/object", operator.cpu());
    let event = publisher.cpu() - writer.cpu();
    let ratio = (operator.cpu() - event) / writer.cpu();
    figures.judge("CPU of the operator without the Event / bare writer", "", ratio, Goal::AtMost(1.3));
    figures.add("CPU of the operator / bare writer with Events", "", operator.cpu() / publisher.cpu());
    figures.add("CPU of etcd and kube-apiserver for the bare writer", "ms/object", writer.servers_cpu());
    figures.add("the same for the bare writer with Events", "ms/object", publisher.servers_cpu());
    figures.add("the same for the operator", "ms/object", operator.servers_cpu());
    figures.add("Events of the operator", "1/object", operator.events);
    figures.add("peak memory of the bare writer", "MB", writer.peak);
    figures.judge("peak memory of the operator", "MB", operator.peak, Goal::AtMost(40.0));
    Ok(figures)
}
