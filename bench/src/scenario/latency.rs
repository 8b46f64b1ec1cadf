//! The time from one new object to its success with an idle operator, compared with the sum of its parts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cde_operator::runtime::api_server::client;
use cde_sandbox::cde::Remote;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use kube::api::{DynamicObject, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{Scenario, Size};
use crate::figure::{Figures, Goal};
use crate::kind::Kind;
use crate::script::Script;
use crate::stage::Stage;
use crate::statistics::percentile;
use crate::status::Target;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "latency",
    about: "one new object at a time, from its creation until a watch shows that it succeeded, against the sum of its parts",
    size: Size { objects: 200, concurrency: 0, minutes: 0.0 },
    smoke: Some(Size { objects: 3, concurrency: 0, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

const LIMIT: Duration = Duration::from_mins(1);

/// Milliseconds.
#[derive(Default)]
struct Parts {
    /// From the create request until the watch shows the object.
    watch: Vec<f64>,
    /// The first status write, until its response.
    claim: Vec<f64>,
    calls: Vec<f64>,
    /// The last status write, until the watch shows it.
    record: Vec<f64>,
    sum: Vec<f64>,
    /// The operator's time for the whole.
    whole: Vec<f64>,
}

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let (script, cde) = (stage.script().await?, stage.cde().await?);
    let (alone, operated) = (stage.namespace("alone").await?, stage.namespace("operated").await?);
    let _operator = stage.operator(&cde, &operated, &["--rate", "0"]).await?;
    // Two clients, like the operator: a watch occupies the connection that it uses.
    let (watching, writing) = (like_the_operators(stage).await?, like_the_operators(stage).await?);
    let player = Player { stage, script, cde, watching, writing };
    let mut figures = Figures::default();
    for kind in Kind::ALL {
        let mut all = Parts::default();
        for _ in 0..size.objects {
            player.alone(kind, &alone, &mut all).await?;
            all.whole.push(player.whole(kind, &operated).await?);
        }
        tell(&mut figures, kind.word(), &all);
    }
    Ok(figures)
}

fn tell(figures: &mut Figures, word: &str, all: &Parts) {
    let parts = [
        ("created, seen by a watch", &all.watch),
        ("claim written", &all.claim),
        ("calls", &all.calls),
        ("outcome written, seen by a watch", &all.record),
        ("sum of the parts", &all.sum),
        ("operator", &all.whole),
    ];
    for (part, values) in parts {
        figures.add(format!("{word}: {part}, p50"), "ms", percentile(values, 50));
    }
    figures.add(format!("{word}: sum of the parts, p99"), "ms", percentile(&all.sum, 99));
    figures.add(format!("{word}: operator, p99"), "ms", percentile(&all.whole, 99));
    let sum = percentile(&all.sum, 50);
    let (p50, p99) = (percentile(&all.whole, 50) / sum, percentile(&all.whole, 99) / sum);
    figures.judge(format!("{word}: p50 of the operator / of the sum"), "", p50, Goal::AtMost(1.3));
    figures.judge(format!("{word}: p99 of the operator / p50 of the sum"), "", p99, Goal::AtMost(3.0));
}

async fn like_the_operators(stage: &Stage) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(&stage.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(client(config, Duration::from_secs(30), None)?)
}

struct Player<'a> {
    stage: &'a Stage,
    script: &'a Script,
    cde: Remote,
    watching: Client,
    writing: Client,
}

/// A new object, the time of its creation, and its watch events.
struct Watched {
    target: Target,
    connector: Uuid,
    begun: Instant,
    events: BoxStream<'static, kube::Result<WatchEvent<DynamicObject>>>,
}

impl Player<'_> {
    /// Starts a watch and creates the object, for a connector that is in the CDE already.
    async fn create(&self, kind: Kind, namespace: &str) -> Result<Watched> {
        let (connector, name) = (Uuid::new_v4(), format!("one-{}", Uuid::new_v4().simple()));
        self.cde.put(&[kind.willing(connector)]).await?;
        let api = kind.api(&self.watching, namespace);
        let one = WatchParams::default().fields(&format!("metadata.name={name}"));
        let events = api.watch(&one, "0").await?.boxed();
        let object = serde_json::from_value(kind.manifest(&name, connector))?;
        let begun = Instant::now();
        // As the administrator: the operator has no permission to create requests.
        let made = kind.api(&self.stage.admin, namespace).create(&PostParams::default(), &object).await?;
        let target = Target {
            kind,
            namespace: namespace.to_owned(),
            name,
            uid: made.metadata.uid.unwrap_or_default(),
            version: made.metadata.resource_version.unwrap_or_default(),
        };
        Ok(Watched { target, connector, begun, events })
    }

    /// Measures the time from the creation until the operator has succeeded.
    async fn whole(&self, kind: Kind, namespace: &str) -> Result<f64> {
        let mut object = self.create(kind, namespace).await?;
        object.shows(succeeded).await?;
        Ok(milliseconds(object.begun))
    }

    /// Measures the parts, one after the other, without an operator.
    async fn alone(&self, kind: Kind, namespace: &str, all: &mut Parts) -> Result<()> {
        let mut object = self.create(kind, namespace).await?;
        object.shows(|_| true).await?;
        let watch = milliseconds(object.begun);

        let raw = |status: &Value| -> Result<Box<RawValue>> { Ok(to_raw_value(status)?) };
        let statuses = self.script.statuses.of(kind);
        let (last, first) = statuses.split_last().context("no status was recorded")?;
        let begun = Instant::now();
        for status in first {
            object.target.put(&self.writing, &raw(status)?).await?;
        }
        let claim = milliseconds(begun);

        let begun = Instant::now();
        self.call(kind, object.connector).await?;
        let calls = milliseconds(begun);

        let (begun, last) = (Instant::now(), raw(last)?);
        object.target.put(&self.writing, &last).await?;
        object.shows(succeeded).await?;
        let record = milliseconds(begun);

        all.sum.push(watch + claim + calls + record);
        all.watch.push(watch);
        all.claim.push(claim);
        all.calls.push(calls);
        all.record.push(record);
        Ok(())
    }

    /// Makes the operator's calls to the CDE.
    async fn call(&self, kind: Kind, connector: Uuid) -> Result<()> {
        let base = format!("connectors/{connector}");
        match kind {
            Kind::Restore => self.cde.perform(Method::PATCH, &format!("{base}/restore-from-bin")).await,
            Kind::Rollback => {
                self.cde.perform(Method::GET, &base).await?;
                self.cde.perform(Method::POST, &format!("{base}/versions/1/migration/rollback")).await
            }
        }
    }
}

impl Watched {
    async fn shows(&mut self, condition: impl Fn(&DynamicObject) -> bool) -> Result<()> {
        let shown = async {
            while let Some(event) = self.events.try_next().await? {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) if condition(&object) => {
                        return Ok(());
                    }
                    WatchEvent::Error(error) => bail!("the watch ended: {error}"),
                    _ => {}
                }
            }
            bail!("the watch ended too early")
        };
        tokio::time::timeout(LIMIT, shown).await.context("the watch did not show the expected state")?
    }
}

fn succeeded(object: &DynamicObject) -> bool {
    object.data["status"]["outcome"] == "Succeeded"
}

fn milliseconds(begun: Instant) -> f64 {
    1000.0 * begun.elapsed().as_secs_f64()
}
