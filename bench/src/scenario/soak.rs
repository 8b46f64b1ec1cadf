//! Objects are created, fail, are retried and deleted for a long time: whether anything grows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;
use cde_sandbox::cde::{Connector, Remote};
use cde_sandbox::operator::Operator;
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use cde_operator::api::RETRY_ANNOTATION;

use super::{Scenario, Size};
use crate::figure::Figures;
use crate::kind::Kind;
use crate::metrics::Metrics;
use crate::stage::Stage;
use crate::statistics::{count, slope};
use crate::usage::{Usage, megabytes};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "soak",
    about: "objects are created, fail every second time, are retried and deleted; slopes leave out the first sixth",
    size: Size { objects: 0, concurrency: 0, minutes: 30.0 },
    smoke: Some(Size { objects: 0, concurrency: 0, minutes: 0.05 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

/// The interval at which one object of each kind is created.
const TICK: Duration = Duration::from_millis(100);
/// The number of ticks after which a failed object is retried.
const RETRIED: usize = 10;
/// The number of ticks after which an object is deleted.
const DELETED: usize = 20;
const SAMPLES: u32 = 180;

/// Each sample is a pair of the minute and the value.
#[derive(Default)]
struct Growth {
    memory: Vec<(f64, f64)>,
    threads: Vec<(f64, f64)>,
    tasks: Vec<(f64, f64)>,
    files: Vec<(f64, f64)>,
    series: Vec<(f64, f64)>,
}

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let (cde, namespace) = (stage.cde().await?, stage.namespace("soak").await?);
    let operator = stage.operator(&cde, &namespace, &["--rate", "0"]).await?;
    let length = Duration::from_mins(1).mul_f64(size.minutes);
    let people = People { stage, cde: &cde, namespace: &namespace };
    let (created, growth) = tokio::try_join!(people.work(length), observe(&operator, length))?;
    let usage = Usage::of(operator.process_id())?;
    let finished = Metrics::of(&operator).await?.finished();

    let mut figures = Figures::default();
    figures.add("objects created", "1/s", count(created) / length.as_secs_f64());
    figures.add("requests finished, including retries", "1/object", finished / count(created));
    figures.add("CPU", "ms/request", 1000.0 * usage.cpu.as_secs_f64() / finished);
    figures.add("memory at the end", "MB", usage.megabytes());
    figures.add("peak memory", "MB", megabytes(usage.peak));
    for (what, unit, factor, values) in [
        ("memory grows by", "kB/min", 1000.0, &growth.memory),
        ("threads grow by", "1/min", 1.0, &growth.threads),
        ("tasks grow by", "1/min", 1.0, &growth.tasks),
        ("open files and sockets grow by", "1/min", 1.0, &growth.files),
        ("values under /metrics grow by", "1/min", 1.0, &growth.series),
    ] {
        figures.add(what, unit, factor * slope(&values[values.len() / 6..]));
    }
    let last = |values: &[(f64, f64)]| values.last().map_or(f64::NAN, |value| value.1);
    figures.add("threads at the end", "", last(&growth.threads));
    figures.add("tasks at the end", "", last(&growth.tasks));
    figures.add("open files and sockets at the end", "", last(&growth.files));
    figures.add("values under /metrics at the end", "", last(&growth.series));
    operator.stop().await?;
    Ok(figures)
}

async fn observe(operator: &Operator, length: Duration) -> Result<Growth> {
    let (begun, mut growth) = (Instant::now(), Growth::default());
    for _ in 0..SAMPLES {
        tokio::time::sleep(length / SAMPLES).await;
        let (usage, metrics) = (Usage::of(operator.process_id())?, Metrics::of(operator).await?);
        let minute = begun.elapsed().as_secs_f64() / 60.0;
        let number = |value: u64| count(usize::try_from(value).unwrap_or_default());
        growth.memory.push((minute, usage.megabytes()));
        growth.threads.push((minute, number(usage.threads)));
        growth.tasks.push((minute, metrics.tasks()));
        growth.files.push((minute, number(usage.files)));
        growth.series.push((minute, metrics.series()));
    }
    Ok(growth)
}

struct People<'a> {
    stage: &'a Stage,
    cde: &'a Remote,
    namespace: &'a str,
}

struct One {
    kind: Kind,
    name: String,
    connector: Uuid,
    fails: bool,
}

impl People<'_> {
    /// Creates, retries and deletes objects for `length`, and returns how many it created.
    async fn work(&self, length: Duration) -> Result<usize> {
        let (begun, mut created) = (Instant::now(), 0);
        let (mut waiting, mut leaving) = (VecDeque::new(), VecDeque::new());
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while begun.elapsed() < length {
            ticks.tick().await;
            for kind in Kind::ALL {
                waiting.push_back(self.create(kind, created % 4 > 1).await?);
                created += 1;
            }
            while waiting.len() > 2 * RETRIED
                && let Some(one) = waiting.pop_front()
            {
                self.retry(&one).await?;
                leaving.push_back(one);
            }
            while leaving.len() > 2 * (DELETED - RETRIED)
                && let Some(one) = leaving.pop_front()
            {
                self.delete(&one).await?;
            }
        }
        Ok(created)
    }

    async fn create(&self, kind: Kind, fails: bool) -> Result<One> {
        let (connector, name) = (Uuid::new_v4(), format!("soak-{}", Uuid::new_v4().simple()));
        let known = kind.willing(connector);
        let known: Connector = if fails { known.forbidden() } else { known };
        self.cde.put(&[known]).await?;
        let object = serde_json::from_value(kind.manifest(&name, connector))?;
        kind.api(&self.stage.admin, self.namespace).create(&PostParams::default(), &object).await?;
        Ok(One { kind, name, connector, fails })
    }

    /// Fixes the cause of a failure and requests a retry; does nothing for an object that did not fail.
    async fn retry(&self, one: &One) -> Result<()> {
        if !one.fails {
            return Ok(());
        }
        self.cde.put(&[one.kind.willing(one.connector)]).await?;
        let now = Timestamp::now().to_string();
        let annotation = Patch::Merge(json!({"metadata": {"annotations": {RETRY_ANNOTATION: now}}}));
        let api = one.kind.api(&self.stage.admin, self.namespace);
        api.patch(&one.name, &PatchParams::default(), &annotation).await?;
        Ok(())
    }

    async fn delete(&self, one: &One) -> Result<()> {
        let api = one.kind.api(&self.stage.admin, self.namespace);
        api.delete(&one.name, &DeleteParams::default()).await?;
        self.cde.forget(one.connector).await
    }
}
