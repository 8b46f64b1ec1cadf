//! Many objects wait while the CDE API is down for ten minutes. The run takes a twentieth of that time, and all of the
//! operator's times are divided by twenty, so that the counts are those of the defaults.

use std::time::{Duration, Instant};

use anyhow::Result;
use cde_sandbox::cde::{Fault, Operation, Remote};
use serde_json::Value;

use super::{Scenario, Size, patience};
use crate::crowd::Crowd;
use crate::figure::{Figures, Goal};
use crate::kind::Each;
use crate::metrics::Metrics;
use crate::script;
use crate::stage::Stage;
use crate::statistics::count;
use crate::traffic::Traffic;
use crate::usage::Usage;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "outage",
    about: "objects wait while the CDE API responds with 503 and then not at all for --minutes; all times are divided by twenty",
    size: Size { objects: 5000, concurrency: 0, minutes: 10.0 },
    smoke: None,
    run: |stage, size| Box::pin(run(stage, size)),
};

const COMPRESSED: f64 = 20.0;
/// `--timeout 30s`, `--rate 10`, `--retry-min 1s`, `--retry-max 5m`.
const FLAGS: [&str; 8] =
    ["--timeout", "1500ms", "--rate", "200", "--retry-min", "50ms", "--retry-max", "15s"];

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let like = script::new_objects(stage).await?;
    let fresh = fresh(stage, size, &like).await?;
    let mut figures = Figures::default();
    figures.add("a fresh run, all done", "s", fresh);
    outage(stage, size, &like, fresh, &mut figures).await?;
    Ok(figures)
}

/// Returns the seconds from the start of an operator until all requests are done.
async fn fresh(stage: &Stage, size: &Size, like: &Each<Value>) -> Result<f64> {
    let (cde, namespace) = (stage.cde().await?, stage.namespace("fresh").await?);
    let crowd = Crowd::new(&namespace, size.objects);
    crowd.known_to(&cde).await?;
    crowd.store(stage, like, |_, _| ()).await?;
    let begun = Instant::now();
    let _operator = stage.operator(&cde, &namespace, &FLAGS).await?;
    stage.all_succeeded(&namespace, patience(crowd.len())).await?;
    Ok(begun.elapsed().as_secs_f64())
}

async fn outage(
    stage: &Stage,
    size: &Size,
    like: &Each<Value>,
    fresh: f64,
    figures: &mut Figures,
) -> Result<()> {
    let (mut cde, namespace) = (stage.cde().await?, stage.namespace("outage").await?);
    let crowd = Crowd::new(&namespace, size.objects);
    let operator = stage.operator(&cde, &namespace, &FLAGS).await?;
    let before = Usage::of(operator.process_id())?;
    cde.inject(&[Fault::on(Operation::Any).answer(503).always()]).await?;
    let begun = Instant::now();
    crowd.store(stage, like, |_, _| ()).await?;
    let length = Duration::from_mins(1).mul_f64(size.minutes / COMPRESSED);
    sleep_until(begun + length / 2).await;
    cde.down();
    sleep_until(begun + length).await;

    let calls = Metrics::of(&operator).await?.calls();
    let writes = count(Traffic::of(stage, &namespace)?.status_writes().count());
    let during = Usage::of(operator.process_id())?;
    figures.judge("calls in the outage", "1/min", calls / size.minutes, Goal::AtMost(2.0));
    let objects = count(crowd.len());
    figures.judge("status writes in the outage", "1/object", writes / objects, Goal::AtMost(1.0));
    figures.add("memory added since the start", "MB", during.megabytes() - before.megabytes());
    figures.add("CPU in the outage", "s", (during.cpu.saturating_sub(before.cpu)).as_secs_f64());

    returns(&mut cde, &crowd).await?;
    let back = Instant::now();
    while Metrics::of(&operator).await?.finished() < 1.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    figures.add("recovery noticed after", "s", back.elapsed().as_secs_f64());
    let noticed = Instant::now();
    stage.all_succeeded(&namespace, patience(crowd.len())).await?;
    figures.add("all done after the recovery", "s", back.elapsed().as_secs_f64());
    let ratio = noticed.elapsed().as_secs_f64() / fresh;
    figures.add("all done after the recovery is noticed / fresh run", "", ratio);
    let ratio = back.elapsed().as_secs_f64() / fresh;
    figures.judge("all done after the recovery / fresh run", "", ratio, Goal::AtMost(1.2));
    let needed = 1.5 * objects;
    let calls = Metrics::of(&operator).await?.calls() - calls;
    figures.add("calls after the recovery / needed", "", calls / needed);
    Ok(())
}

async fn returns(cde: &mut Remote, crowd: &Crowd) -> Result<()> {
    cde.up().await?;
    crowd.known_to(cde).await
}

async fn sleep_until(end: Instant) {
    tokio::time::sleep_until(end.into()).await;
}
