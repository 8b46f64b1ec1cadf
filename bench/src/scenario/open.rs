//! Open and failed requests: the operator keeps them in memory, must not send a burst of calls at startup, and then works
//! on those that are due.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cde_sandbox::cde::{Fault, Operation, Remote};
use cde_sandbox::operator::Operator;
use jiff::Timestamp;
use serde_json::Value;

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
    name: "open",
    about: "an operator starts with --objects failed requests and as many waiting ones, all of them due, and works for --minutes, at --rate 10",
    size: Size { objects: 10_000, concurrency: 0, minutes: 1.0 },
    smoke: Some(Size { objects: 50, concurrency: 0, minutes: 0.03 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

/// The default of `--rate`.
const RATE: f64 = 10.0;
/// The number of seconds in which calls are counted.
const SECONDS: u64 = 3;

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let cde = stage.cde().await?;
    let (failed, waiting) = (failed(stage, &cde).await?, waiting(stage, &cde).await?);
    let namespace = stage.namespace("open").await?;
    let empty = stage.operator(&cde, &namespace, &[]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Usage::of(empty.process_id())?;
    empty.stop().await?;

    let servers = Servers::now(stage).await?;
    Crowd::new(&namespace, size.objects / 2).store(stage, &failed, |_, _| ()).await?;
    let crowd = Crowd::new(&namespace, size.objects / 2);
    crowd.known_to(&cde).await?;
    let due = Timestamp::from_second(Timestamp::now().as_second())?.to_string();
    crowd.store(stage, &waiting, |_, object| is_due(object, &due)).await?;
    let objects = 2.0 * count(crowd.len());
    let stored = Servers::now(stage).await?.database - servers.database;

    let lists =
        || Ok::<_, anyhow::Error>(Traffic::of(stage, &namespace)?.count(|event| event.verb == "list"));
    let (start, before_start) = (Timestamp::now(), lists()?);
    let (operator, took) = timed(stage.operator(&cde, &namespace, &[])).await?;
    // The first call follows the last list; one more second completes the last counted one.
    tokio::time::sleep(Duration::from_secs(SECONDS + 1)).await;
    let after = Usage::of(operator.process_id())?;
    let calls = Ledger::of(&cde).await?.busiest_second(start, SECONDS);
    let lists = lists()? - before_start;

    let kilobytes = 1000.0 * (after.megabytes() - before.megabytes()) / objects;
    let mut figures = Figures::default();
    figures.judge("additional memory", "kB/object", kilobytes, Goal::AtMost(2.5));
    let kilobytes = (megabytes(after.peak) - megabytes(before.peak)) * 1000.0 / objects;
    figures.add("additional peak memory", "kB/object", kilobytes);
    figures.add("memory", "MB", after.megabytes());
    figures.add("time to ready", "ms", 1000.0 * took.as_secs_f64());
    // The token bucket may hold one more at the beginning.
    figures.judge("calls in the busiest second", "1/s", count(calls), Goal::AtMost(RATE + 1.0));
    figures.judge("lists that were not streamed", "", count(lists), Goal::AtMost(0.0));
    steady(stage, &cde, &namespace, (&operator, size.minutes), &mut figures).await?;
    figures.add("database of etcd", "kB/object", 1000.0 * stored / objects);
    let memory = Servers::now(stage).await?.memory - servers.memory;
    figures.add("additional memory of kube-apiserver", "kB/object", 1000.0 * memory / objects);
    operator.stop().await?;
    Ok(figures)
}

/// Returns requests that the CDE API has refused.
async fn failed(stage: &Stage, cde: &Remote) -> Result<Each<Value>> {
    cde.inject(&[Fault::on(Operation::Changing).answer(403).always()]).await?;
    let reasons = Each { restore: "AccessDenied", rollback: "AccessDenied" };
    let failed = script::objects_with(stage, cde, &[], reasons).await?;
    cde.clear_faults().await?;
    Ok(failed)
}

/// Returns requests that wait for their next attempt.
async fn waiting(stage: &Stage, cde: &Remote) -> Result<Each<Value>> {
    // A 423 has no effect and delays no other request.
    cde.inject(&[Fault::on(Operation::Changing).answer(423).always()]).await?;
    let reasons = Each { restore: "Retrying", rollback: "Retrying" };
    let long = ["--retry-min", "6h", "--retry-max", "6h"];
    let waiting = script::objects_with(stage, cde, &long, reasons).await?;
    cde.clear_faults().await?;
    Ok(waiting)
}

fn is_due(object: &mut Value, due: &str) {
    if let Some(next) = object.pointer_mut("/status/operation/nextAttemptTime") {
        *next = due.into();
    }
}

/// Measures an operator that works on the requests that are due, for some minutes.
async fn steady(
    stage: &Stage,
    cde: &Remote,
    namespace: &str,
    (operator, minutes): (&Operator, f64),
    figures: &mut Figures,
) -> Result<()> {
    let usage = || Usage::of(operator.process_id());
    let (calls, traffic) = (Ledger::of(cde).await?.calls.len(), Traffic::of(stage, namespace)?);
    let (begun, before) = (Instant::now(), usage()?);
    tokio::time::sleep(Duration::from_mins(1).mul_f64(minutes)).await;
    let (after, lasted) = (usage()?, begun.elapsed().as_secs_f64());
    let (calls, later) = (Ledger::of(cde).await?.calls.len() - calls, Traffic::of(stage, namespace)?);
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    figures.add("then: CPU", "% of a core", 100.0 * cpu / lasted);
    figures.add("then: calls", "1/min", 60.0 * count(calls) / lasted);
    let writes = later.status_writes().count() - traffic.status_writes().count();
    figures.add("then: status writes", "1/min", 60.0 * count(writes) / lasted);
    let events = later.events() - traffic.events();
    figures.add("then: Events", "1/min", 60.0 * count(events) / lasted);
    let all = |traffic: &Traffic| traffic.count(|_| true);
    let others = all(&later) - all(&traffic) - writes - events;
    figures.add("then: other requests to the API server", "1/min", 60.0 * count(others) / lasted);
    figures.add("then: memory", "MB", after.megabytes());
    figures.add("then: peak memory", "MB", megabytes(after.peak));
    Ok(())
}

/// What the servers of the control plane hold, in MB.
struct Servers {
    /// The used pages of etcd's database.
    database: f64,
    /// The resident memory of kube-apiserver.
    memory: f64,
}

impl Servers {
    async fn now(stage: &Stage) -> Result<Self> {
        let id = *stage.plane.process_ids().last().context("kube-apiserver does not run")?;
        Ok(Self {
            database: megabytes(stage.store.database_size().await?),
            memory: Usage::of(id)?.megabytes(),
        })
    }
}
