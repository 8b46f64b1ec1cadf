//! The cost of an operator that has nothing to do.

use std::time::{Duration, Instant};

use anyhow::Result;
use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::control_plane::OPERATOR_NAMESPACE;

use super::{Scenario, Size};
use crate::crowd::Crowd;
use crate::figure::{Figures, Goal};
use crate::kind::Each;
use crate::script;
use crate::stage::Stage;
use crate::statistics::{count, slope};
use crate::traffic::Traffic;
use crate::usage::{Usage, megabytes};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "idle",
    about: "a leading operator with --objects failed requests of each kind and nothing to do",
    size: Size { objects: 500, concurrency: 0, minutes: 10.0 },
    smoke: Some(Size { objects: 5, concurrency: 0, minutes: 0.03 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

const SAMPLES: u32 = 60;

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let (cde, namespace) = (stage.cde().await?, stage.namespace("idle").await?);
    cde.inject(&[Fault::on(Operation::Changing).answer(403).always()]).await?;
    let reasons = Each { restore: "AccessDenied", rollback: "AccessDenied" };
    let failed = script::objects_with(stage, &cde, &[], reasons).await?;
    Crowd::new(&namespace, size.objects).store(stage, &failed, |_, _| ()).await?;
    let operator = stage.operator(&cde, &namespace, &["--leader-election=true"]).await?;

    let length = Duration::from_mins(1).mul_f64(size.minutes);
    let leases = || Ok::<_, anyhow::Error>(Traffic::of(stage, OPERATOR_NAMESPACE)?.writes());
    let (begun, before, leases_before) = (Instant::now(), Usage::of(operator.process_id())?, leases()?);
    let mut memory = Vec::new();
    for _ in 0..SAMPLES {
        tokio::time::sleep(length / SAMPLES).await;
        let usage = Usage::of(operator.process_id())?;
        memory.push((begun.elapsed().as_secs_f64() / 60.0, usage.megabytes()));
    }
    let (after, lasted) = (Usage::of(operator.process_id())?, begun.elapsed());
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let leases = leases()? - leases_before;
    let mut figures = Figures::default();
    let share = 100.0 * cpu / lasted.as_secs_f64();
    figures.judge("CPU", "% of a core", share, Goal::AtMost(0.1));
    let writes = count(Traffic::of(stage, &namespace)?.writes());
    figures.judge("writes other than of the Lease", "", writes, Goal::AtMost(0.0));
    figures.add("writes of the Lease", "1/min", count(leases) / (lasted.as_secs_f64() / 60.0));
    figures.add("memory at the end", "MB", after.megabytes());
    figures.add("peak memory", "MB", megabytes(after.peak));
    figures.add("memory grows by", "kB/min", 1000.0 * slope(&memory));
    operator.stop().await?;
    Ok(figures)
}
