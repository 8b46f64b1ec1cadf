//! The time from one new object to its success, with an idle operator and with an idle bare worker.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cde_operator::runtime::api_server::client;
use cde_sandbox::cde::Remote;
use cde_sandbox::process;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use uuid::Uuid;

use super::{Scenario, Size};
use crate::figure::{Figures, Goal};
use crate::kind::Kind;
use crate::stage::Stage;
use crate::statistics::percentile;
use crate::worker;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "latency",
    about: "one new object at a time, from its creation until a watch shows that it succeeded: the operator against the bare worker",
    size: Size { objects: 500, concurrency: 0, minutes: 0.0 },
    smoke: Some(Size { objects: 3, concurrency: 0, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

const LIMIT: Duration = Duration::from_mins(1);

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let cde = stage.cde().await?;
    let (bare, operated) = (stage.namespace("bare").await?, stage.namespace("operated").await?);
    let command = worker::command(stage, &cde, &bare, 1, None).await?;
    let _worker = process::spawn_logged(command, &stage.file("worker.log"))?;
    let _operator = stage.operator(&cde, &operated, &["--rate", "0"]).await?;
    let player = Player { stage, cde, watching: like_the_operators(stage).await? };
    let mut figures = Figures::default();
    for kind in Kind::ALL {
        // The first object waits until the worker has connected.
        player.milliseconds(kind, &bare).await?;
        player.milliseconds(kind, &operated).await?;
        let (mut worker, mut operator) = (Vec::new(), Vec::new());
        for _ in 0..size.objects {
            worker.push(player.milliseconds(kind, &bare).await?);
            operator.push(player.milliseconds(kind, &operated).await?);
        }
        for (percent, goal) in [(50, 1.15), (99, 1.3)] {
            let [worker, operator] = [&worker, &operator].map(|times| percentile(times, percent));
            let word = kind.word();
            figures.add(format!("{word}: bare worker, p{percent}"), "ms", worker);
            figures.add(format!("{word}: operator, p{percent}"), "ms", operator);
            let name = format!("{word}: p{percent} of the operator / of the bare worker");
            figures.judge(name, "", operator / worker, Goal::AtMost(goal));
        }
    }
    Ok(figures)
}

async fn like_the_operators(stage: &Stage) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(&stage.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(client(config, Duration::from_secs(30), None)?)
}

struct Player<'a> {
    stage: &'a Stage,
    cde: Remote,
    watching: Client,
}

impl Player<'_> {
    /// Creates an object and returns the time until a watch shows that it succeeded.
    async fn milliseconds(&self, kind: Kind, namespace: &str) -> Result<f64> {
        let (connector, name) = (Uuid::new_v4(), format!("one-{}", Uuid::new_v4().simple()));
        self.cde.put(&[kind.willing(connector)]).await?;
        let one = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut events = kind.api(&self.watching, namespace).watch(&one, "0").await?.boxed();
        let object = serde_json::from_value(kind.manifest(&name, connector))?;
        let begun = Instant::now();
        // As the administrator: the operator has no permission to create requests.
        kind.api(&self.stage.admin, namespace).create(&PostParams::default(), &object).await?;
        let succeeds = async {
            while let Some(event) = events.try_next().await? {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) if succeeded(&object) => {
                        return Ok(1000.0 * begun.elapsed().as_secs_f64());
                    }
                    WatchEvent::Error(error) => bail!("the watch ended: {error}"),
                    _ => {}
                }
            }
            bail!("the watch ended too early")
        };
        tokio::time::timeout(LIMIT, succeeds).await.context("the object does not succeed")?
    }
}

fn succeeded(object: &DynamicObject) -> bool {
    object.data["status"]["outcome"] == "Succeeded"
}
