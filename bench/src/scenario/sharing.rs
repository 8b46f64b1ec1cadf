//! Two operators share the work by label: what the second one adds.

use std::time::Duration;

use anyhow::{Context, Result};
use cde_sandbox::cde::{Fault, Operation};
use serde_json::Value;

use super::{Scenario, Size, patience};
use crate::crowd::Crowd;
use crate::figure::{Figures, Goal};
use crate::kind::Each;
use crate::script;
use crate::stage::Stage;
use crate::statistics::count;
use crate::traffic::Traffic;
use crate::writer;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "sharing",
    about: "two operators with two selectors against one operator, limited by calls of 200 ms and limited by the API server",
    size: Size { objects: 1000, concurrency: 8, minutes: 0.0 },
    smoke: Some(Size { objects: 4, concurrency: 4, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

const DELAY: Duration = Duration::from_millis(200);
const HALVES: [&str; 2] = ["bench.example.com/half=0", "bench.example.com/half=1"];
/// The concurrency of each operator where the API server is the limit.
const CONCURRENCY: u16 = 32;

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let like = script::new_objects(stage).await?;
    let team = Team { stage, like, each: size.objects };
    let slow = size.concurrency.to_string();
    let one = team.works(DELAY, &slow, &[None]).await?;
    let two = team.works(DELAY, &slow, &HALVES.map(Some)).await?;
    let mut figures = Figures::default();
    figures.add("calls of 200 ms: one operator", "objects/s", one);
    figures.add("calls of 200 ms: two operators", "objects/s", two);
    figures.judge("calls of 200 ms: two / one", "", two / one, Goal::AtLeast(1.8));

    let fast = CONCURRENCY.to_string();
    let one = team.works(Duration::ZERO, &fast, &[None]).await?;
    let two = team.works(Duration::ZERO, &fast, &HALVES.map(Some)).await?;
    let namespace = team.crowd(Duration::ZERO).await?.0.namespace;
    writer::run(stage, &namespace, 2 * CONCURRENCY).await?;
    let written = 2.0 * count(size.objects) / Traffic::of(stage, &namespace)?.span()?.as_secs_f64();
    figures.add("no delay: one operator", "objects/s", one);
    figures.add("no delay: two operators", "objects/s", two);
    figures.add("no delay: bare writer, same concurrency", "objects/s", written);
    figures.add("no delay: two / one", "", two / one);
    figures.add("no delay: two / bare writer", "", two / written);
    Ok(figures)
}

struct Team<'a> {
    stage: &'a Stage,
    like: Each<Value>,
    each: usize,
}

impl Team<'_> {
    /// Returns objects per second, with one operator per selector.
    async fn works(&self, delay: Duration, concurrency: &str, selectors: &[Option<&str>]) -> Result<f64> {
        let (crowd, cde) = self.crowd(delay).await?;
        let flags = ["--rate", "0", "--concurrency", concurrency];
        let start = selectors.iter().map(async |selector| {
            let selector = selector.map(|selector| ["--selector", selector]);
            let flags: Vec<&str> = flags.into_iter().chain(selector.into_iter().flatten()).collect();
            self.stage.operator(&cde, &crowd.namespace, &flags).await
        });
        let _operators = futures::future::try_join_all(start).await?;
        self.stage.all_succeeded(&crowd.namespace, patience(crowd.len())).await?;
        let span = Traffic::of(self.stage, &crowd.namespace)?.span().context("sharing")?;
        Ok(count(crowd.len()) / span.as_secs_f64())
    }

    /// Stores new objects, half of them for each selector, and returns them with their CDE.
    async fn crowd(&self, delay: Duration) -> Result<(Crowd, cde_sandbox::cde::Remote)> {
        let (cde, namespace) = (self.stage.cde().await?, self.stage.namespace("sharing").await?);
        if !delay.is_zero() {
            cde.inject(&[Fault::on(Operation::Any).delay(delay).always()]).await?;
        }
        let crowd = Crowd::new(&namespace, self.each);
        crowd.known_to(&cde).await?;
        let label = |number: usize| HALVES[number % 2].split_once('=');
        crowd
            .store(self.stage, &self.like, |member, object| {
                if let Some((key, value)) = label(member.number) {
                    object["metadata"]["labels"][key] = value.into();
                }
            })
            .await?;
        Ok((crowd, cde))
    }
}
