//! The operator, the bare worker and the bare writer process equal sets of objects, in one run on one control plane.

use std::time::{Duration, Instant};

use anyhow::Result;
use cde_sandbox::cde::{Fault, Operation, Remote};
use serde_json::Value;

use crate::crowd::Crowd;
use crate::kind::Each;
use crate::scenario::patience;
use crate::script;
use crate::stage::Stage;
use crate::statistics::count;
use crate::traffic::Traffic;
use crate::usage::{Usage, megabytes};
use crate::{worker, writer};

/// The program that processes the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// Status writes and Events only.
    Writer,
    /// The whole I/O of a request.
    Worker,
    Operator,
}

/// The measurements of one program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lap {
    objects: f64,
    span: f64,
    cpu: f64,
    servers_cpu: f64,
    /// MB.
    pub(crate) peak: f64,
    /// Events per object.
    pub(crate) events: f64,
}

impl Lap {
    /// Returns objects per second, from the arrival of the first status write at the API server to its response to the
    /// last one.
    pub(crate) fn throughput(&self) -> f64 {
        self.objects / self.span
    }

    /// Returns milliseconds of CPU per object, from the start of the process to its last Event.
    pub(crate) fn cpu(&self) -> f64 {
        1000.0 * self.cpu / self.objects
    }

    /// Returns milliseconds of CPU that etcd and kube-apiserver took per object.
    pub(crate) fn servers_cpu(&self) -> f64 {
        1000.0 * self.servers_cpu / self.objects
    }
}

/// The settings that all laps of a run share.
pub(crate) struct Race<'a> {
    stage: &'a Stage,
    like: Each<Value>,
    each: usize,
    concurrency: u16,
    /// The duration of a call to the CDE.
    delay: Duration,
    limit: Duration,
}

impl<'a> Race<'a> {
    /// Prepares laps over `each` new objects of each kind.
    ///
    /// # Errors
    /// If the new objects cannot be created.
    pub(crate) async fn prepare(
        stage: &'a Stage,
        each: usize,
        concurrency: u16,
        delay: Duration,
    ) -> Result<Self> {
        let like = script::new_objects(stage).await?;
        let limit = patience(2 * each);
        Ok(Self { stage, like, each, concurrency, delay, limit })
    }

    /// Lets one program after the other process as many objects. The order changes with the run, because later laps
    /// write to a fuller store.
    ///
    /// # Errors
    /// If one of them does not finish.
    pub(crate) async fn laps<const N: usize>(&self, runners: [Runner; N]) -> Result<[Lap; N]> {
        let mut laps = [Lap::default(); N];
        for turn in 0..N {
            let index = (turn + self.stage.run) % N;
            laps[index] = self.lap(runners[index]).await?;
        }
        Ok(laps)
    }

    async fn lap(&self, runner: Runner) -> Result<Lap> {
        let namespace = self.stage.namespace("lap").await?;
        let crowd = Crowd::new(&namespace, self.each);
        crowd.store(self.stage, &self.like, |_, _| ()).await?;
        let servers = self.stage.servers_cpu()?;
        let usage = match runner {
            Runner::Writer => writer::run(self.stage, &namespace, self.concurrency).await?,
            Runner::Worker => self.worked(&crowd).await?,
            Runner::Operator => self.operated(&crowd).await?,
        };
        let traffic = Traffic::of(self.stage, &namespace)?;
        let objects = count(crowd.len());
        Ok(Lap {
            objects,
            span: traffic.span()?.as_secs_f64(),
            cpu: usage.cpu.as_secs_f64(),
            servers_cpu: self.stage.servers_cpu()?.saturating_sub(servers).as_secs_f64(),
            peak: megabytes(usage.peak),
            events: count(traffic.events()) / objects,
        })
    }

    async fn worked(&self, crowd: &Crowd) -> Result<Usage> {
        let cde = self.cde(crowd).await?;
        let namespace = &crowd.namespace;
        let command =
            worker::command(self.stage, &cde, namespace, self.concurrency, Some(crowd.len())).await?;
        let usage = Usage::printed(command, "the bare worker").await?;
        self.stage.all_succeeded(namespace, self.limit).await?;
        Ok(usage)
    }

    async fn operated(&self, crowd: &Crowd) -> Result<Usage> {
        let cde = self.cde(crowd).await?;
        let concurrency = self.concurrency.to_string();
        let flags = ["--rate", "0", "--concurrency", &concurrency];
        let operator = self.stage.operator(&cde, &crowd.namespace, &flags).await?;
        self.stage.all_succeeded(&crowd.namespace, self.limit).await?;
        Traffic::with_events(self.stage, &crowd.namespace, crowd.len()).await?;
        Usage::of(operator.process_id())
    }

    /// Starts a CDE that knows the connectors.
    async fn cde(&self, crowd: &Crowd) -> Result<Remote> {
        let cde = self.stage.cde().await?;
        if !self.delay.is_zero() {
            cde.inject(&[Fault::on(Operation::Any).delay(self.delay).always()]).await?;
        }
        crowd.known_to(&cde).await?;
        Ok(cde)
    }
}

/// Measures how long `work` takes.
pub(crate) async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(T, Duration)> {
    let begun = Instant::now();
    let done = work.await?;
    Ok((done, begun.elapsed()))
}
