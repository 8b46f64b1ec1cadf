//! Open and failed requests: the operator keeps them in memory, and must not send a burst of calls at startup.

use std::time::Duration;

use anyhow::Result;
use cde_sandbox::cde::{Fault, Operation};
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
    about: "an operator starts with --objects failed requests and as many waiting ones, all of them due, at --rate 10",
    size: Size { objects: 10_000, concurrency: 0, minutes: 0.0 },
    smoke: Some(Size { objects: 50, concurrency: 0, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

/// The default of `--rate`.
const RATE: f64 = 10.0;
/// The number of seconds in which calls are counted.
const SECONDS: u64 = 3;

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let cde = stage.cde().await?;
    cde.inject(&[Fault::on(Operation::Changing).answer(403).always()]).await?;
    let reasons = Each { restore: "AccessDenied", rollback: "AccessDenied" };
    let failed = script::objects_with(stage, &cde, &[], reasons).await?;
    cde.clear_faults().await?;
    // A 423 has no effect and delays no other request.
    cde.inject(&[Fault::on(Operation::Changing).answer(423).always()]).await?;
    let reasons = Each { restore: "Retrying", rollback: "Retrying" };
    let long = ["--retry-min", "6h", "--retry-max", "6h"];
    let waiting = script::objects_with(stage, &cde, &long, reasons).await?;
    cde.clear_faults().await?;

    let namespace = stage.namespace("open").await?;
    let empty = stage.operator(&cde, &namespace, &[]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Usage::of(empty.process_id())?;
    empty.stop().await?;

    Crowd::new(&namespace, size.objects / 2).store(stage, &failed, |_, _| ()).await?;
    let crowd = Crowd::new(&namespace, size.objects / 2);
    crowd.known_to(&cde).await?;
    let due = Timestamp::from_second(Timestamp::now().as_second())?.to_string();
    crowd.store(stage, &waiting, |_, object| is_due(object, &due)).await?;

    let lists =
        || Ok::<_, anyhow::Error>(Traffic::of(stage, &namespace)?.count(|event| event.verb == "list"));
    let (start, before_start) = (Timestamp::now(), lists()?);
    let (operator, took) = timed(stage.operator(&cde, &namespace, &[])).await?;
    // The first call follows the last list; one more second completes the last counted one.
    tokio::time::sleep(Duration::from_secs(SECONDS + 1)).await;
    let after = Usage::of(operator.process_id())?;
    let calls = Ledger::of(&cde).await?.busiest_second(start, SECONDS);
    let lists = lists()? - before_start;

    let objects = 2.0 * count(size.objects / 2 * 2);
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
    operator.stop().await?;
    Ok(figures)
}

fn is_due(object: &mut Value, due: &str) {
    if let Some(next) = object.pointer_mut("/status/operation/nextAttemptTime") {
        *next = due.into();
    }
}
