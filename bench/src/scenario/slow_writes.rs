//! Writes that take longer than on an idle machine, as in a cluster whose etcd waits for its disk and its other members.
//!
//! A proxy forwards each request other than GET after a delay, each by itself, so the delay costs no CPU and limits no
//! rate. The API server stores the write after the delay, so watches see it late, too. The proxy speaks HTTP/1.1, which
//! is measured by the proxy without a delay. One more control plane has an etcd that waits for the disk of this machine.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::OPERATOR_NAMESPACE;
use cde_sandbox::proxy::{Point, Proxy, Rule};
use kube::api::PostParams;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Scenario, Size, patience};
use crate::crowd::Crowd;
use crate::figure::Figures;
use crate::kind::{Each, Kind};
use crate::metrics::Metrics;
use crate::script;
use crate::stage::{ACCOUNT, Stage};
use crate::statistics::{count, percentile};
use crate::traffic::Traffic;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slow-writes",
    about: "new objects of each kind, with writes that take 5 and 10 ms longer, against the computed concurrency / (two writes + the calls)",
    size: Size { objects: 1000, concurrency: 16, minutes: 0.0 },
    smoke: Some(Size { objects: 4, concurrency: 4, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

/// Milliseconds by which writes are delayed.
const DELAYS: [u64; 2] = [5, 10];
/// The part of the objects that are processed one at a time.
const ALONE: usize = 10;
/// The part of the concurrency with which the writes are the limit, and not the machine.
const FEW: u16 = 4;
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(5);

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let mut figures = Figures::default();
    let direct = Route { stage, kubeconfig: &stage.kubeconfig, size };
    direct.measure("direct", None, &mut figures).await?;
    let durable = stage.durable().await?;
    let fsync = Route { stage: &durable, kubeconfig: &durable.kubeconfig, size };
    fsync.measure("etcd with fsync", None, &mut figures).await?;
    drop(durable);

    let proxy = Proxy::start(&stage.plane).await?;
    let through = stage.plane.service_account(OPERATOR_NAMESPACE, ACCOUNT, Some(proxy.url())).await?;
    let proxied = Route { stage, kubeconfig: &through, size };
    let machine = proxied.measure("proxy", None, &mut figures).await?;
    for delay in DELAYS {
        let proxy = Proxy::start(&stage.plane).await?;
        let writes = Rule::any().and("a write", |call| call.method != http::Method::GET).always();
        proxy.delay(writes, Point::BeforeForward, Duration::from_millis(delay));
        let through = stage.plane.service_account(OPERATOR_NAMESPACE, ACCOUNT, Some(proxy.url())).await?;
        let slow = Route { stage, kubeconfig: &through, size };
        slow.measure(&format!("{delay} ms"), Some(machine), &mut figures).await?;
    }
    Ok(figures)
}

/// Objects per second with a few and with all workers.
type Throughput = [f64; 2];

/// A way from the operator to an API server.
struct Route<'a> {
    stage: &'a Stage,
    kubeconfig: &'a Path,
    size: &'a Size,
}

/// What one object takes while no other is processed.
struct Alone {
    /// Seconds of a status write.
    write: f64,
    /// Seconds of the calls.
    calls: f64,
    /// Milliseconds from each creation to the response to the last status write, by the API server's clock.
    whole: Vec<f64>,
}

impl Route<'_> {
    /// Measures an operator on this route, and compares it with what the writes and the `machine` allow.
    async fn measure(
        &self,
        name: &str,
        machine: Option<Throughput>,
        figures: &mut Figures,
    ) -> Result<Throughput> {
        let alone = self.alone().await?;
        figures.add(format!("{name}: one status write"), "ms", 1000.0 * alone.write);
        figures.add(format!("{name}: one object, p50"), "ms", percentile(&alone.whole, 50));
        let all = self.size.concurrency;
        let workers = [(all / FEW).max(1), all];
        let mut throughput = [0.0; 2];
        for (index, workers) in workers.into_iter().enumerate() {
            let computed = f64::from(workers) / (2.0 * alone.write + alone.calls);
            if machine.is_some() {
                figures.add(format!("{name}: {workers} at a time, computed"), "objects/s", computed);
            }
            throughput[index] = self.throughput(workers).await?;
            figures.add(format!("{name}: {workers} at a time"), "objects/s", throughput[index]);
            if let Some(machine) = machine {
                let ratio = throughput[index] / computed.min(machine[index]);
                figures.add(
                    format!("{name}: {workers} at a time / the lower of computed and proxy"),
                    "",
                    ratio,
                );
            }
        }
        Ok(throughput)
    }

    /// Lets an operator process one object at a time.
    async fn alone(&self) -> Result<Alone> {
        let (cde, namespace) = (self.stage.cde().await?, self.stage.namespace("alone").await?);
        let operator = self.stage.operator_as(self.kubeconfig, &cde, &namespace, &["--rate", "0"]).await?;
        let each = (self.size.objects / ALONE).max(1);
        for number in 0..each {
            for kind in Kind::ALL {
                self.succeeds(&cde, kind, &namespace, &format!("{}-{number}", kind.word())).await?;
            }
        }
        let objects = Kind::ALL.len() * each;
        Traffic::with_events(self.stage, &namespace, objects).await?;
        let metrics = Metrics::of(&operator).await?;
        operator.stop().await?;
        Ok(Alone {
            write: metrics.write_seconds(),
            calls: metrics.call_seconds() / count(objects),
            whole: self.durations(&namespace)?,
        })
    }

    /// Creates an object and waits until it has succeeded.
    async fn succeeds(&self, cde: &Remote, kind: Kind, namespace: &str, name: &str) -> Result<()> {
        let connector = Uuid::new_v4();
        cde.put(&[kind.willing(connector)]).await?;
        let object = serde_json::from_value(kind.manifest(name, connector))?;
        kind.api(&self.stage.admin, namespace).create(&PostParams::default(), &object).await?;
        // Reads etcd, which costs less than a watch of the API server.
        let succeeded = async {
            while self.stage.store.get(kind, namespace, name).await?["status"]["outcome"] != "Succeeded" {
                tokio::time::sleep(POLL).await;
            }
            anyhow::Ok(())
        };
        timeout(LIMIT, succeeded).await.with_context(|| format!("{name} does not succeed"))?
    }

    /// Returns the milliseconds that each object in the namespace took, from the audit log.
    fn durations(&self, namespace: &str) -> Result<Vec<f64>> {
        let mut events = self.stage.plane.audit()?;
        events.retain(|event| event.namespace == namespace && event.resource != "events");
        let created = events.iter().filter(|event| event.verb == "create");
        let took = created.filter_map(|create| {
            let writes = events.iter().filter(|event| event.subresource == "status");
            let of_object = writes.filter(|event| event.name == create.name);
            let end = of_object.map(|event| event.answered).max()?;
            Some(1000.0 * end.duration_since(create.received).as_secs_f64())
        });
        Ok(took.collect())
    }

    /// Returns objects per second with an operator that processes so many at the same time.
    async fn throughput(&self, workers: u16) -> Result<f64> {
        let like: Each<Value> = script::new_objects(self.stage).await?;
        let (cde, namespace) = (self.stage.cde().await?, self.stage.namespace("slow").await?);
        let crowd = Crowd::new(&namespace, self.size.objects);
        crowd.known_to(&cde).await?;
        crowd.store(self.stage, &like, |_, _| ()).await?;
        let workers = workers.to_string();
        let flags = ["--rate", "0", "--concurrency", &workers];
        let operator = self.stage.operator_as(self.kubeconfig, &cde, &namespace, &flags).await?;
        self.stage.all_succeeded(&namespace, patience(crowd.len())).await?;
        operator.stop().await?;
        Ok(count(crowd.len()) / Traffic::of(self.stage, &namespace)?.span()?.as_secs_f64())
    }
}
