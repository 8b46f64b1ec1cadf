//! The bare writer, which is the baseline for the operator: a process that lists the objects of a namespace and makes the
//! operator's status writes for each of them, and nothing else.
//!
//! It has the operator's client configuration, runtime and concurrency. At the end it prints its resource usage on one
//! line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cde_operator::runtime::api_server::client;
use cde_sandbox::process;
use clap::Args;
use kube::api::ListParams;
use kube::{Client, Config};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::kind::{Each, Kind};
use crate::script::Script;
use crate::stage::Stage;
use crate::status::Target;
use crate::usage::Usage;

/// The operator's request timeout.
const TIMEOUT: Duration = Duration::from_secs(30);
const PAGE: u32 = 500;

/// The arguments of the process.
#[derive(Debug, Args)]
pub(crate) struct WriterArgs {
    /// The namespace of the objects.
    #[arg(long)]
    namespace: String,
    /// The number of objects processed at the same time.
    #[arg(long)]
    concurrency: u16,
    /// Also publish an Event for each object.
    #[arg(long)]
    events: bool,
    /// The file with the recorded writes.
    #[arg(long)]
    script: PathBuf,
}

/// Runs a writer to its end and returns the resources that it used.
///
/// # Errors
/// If it fails; the error contains its standard error.
pub(crate) async fn run(stage: &Stage, namespace: &str, concurrency: u16, events: bool) -> Result<Usage> {
    let script = stage.file("script.json");
    std::fs::write(&script, serde_json::to_vec(stage.script().await?)?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["write", "--namespace", namespace, "--concurrency", &concurrency.to_string(), "--script"]);
    command.arg(script).args(events.then_some("--events")).env("KUBECONFIG", &stage.kubeconfig);
    let output = process::output(command, b"").await?;
    ensure!(output.status.success(), "the bare writer failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the bare writer printed no usage")
}

/// The main function of the process.
///
/// # Errors
/// If the API server rejects a request.
pub(crate) async fn write(args: WriterArgs) -> Result<()> {
    // Fails if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = client(Config::infer().await?, TIMEOUT, None)?;
    let script: Script = serde_json::from_slice(&std::fs::read(&args.script)?)?;
    let work = Arc::new(Work::new(&client, &args, &script).await?);
    let mut workers = JoinSet::new();
    for _ in 0..args.concurrency {
        let (work, client) = (Arc::clone(&work), client.clone());
        workers.spawn(async move {
            while let Some(target) = work.next() {
                work.write(&client, target).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&Usage::own()?)?)?;
    Ok(())
}

struct Work {
    targets: Vec<Target>,
    next: AtomicUsize,
    statuses: Each<Vec<Box<RawValue>>>,
    event: Option<Value>,
}

impl Work {
    async fn new(client: &Client, args: &WriterArgs, script: &Script) -> Result<Self> {
        let restores = list(client, Kind::Restore, &args.namespace).await?;
        let rollbacks = list(client, Kind::Rollback, &args.namespace).await?;
        let raw = |statuses: &[Value]| -> Result<Vec<Box<RawValue>>> {
            statuses.iter().map(|status| Ok(serde_json::value::to_raw_value(status)?)).collect()
        };
        let statuses = &script.statuses;
        Ok(Self {
            targets: restores.into_iter().zip(rollbacks).flat_map(|(one, other)| [one, other]).collect(),
            next: AtomicUsize::new(0),
            statuses: Each { restore: raw(&statuses.restore)?, rollback: raw(&statuses.rollback)? },
            event: args.events.then(|| script.event.clone()),
        })
    }

    fn next(&self) -> Option<Target> {
        self.targets.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }

    async fn write(&self, client: &Client, mut target: Target) -> Result<()> {
        for status in self.statuses.of(target.kind) {
            target.put(client, status).await?;
        }
        if let Some(event) = &self.event {
            publish(client, event.clone(), &target).await?;
        }
        Ok(())
    }
}

async fn list(client: &Client, kind: Kind, namespace: &str) -> Result<Vec<Target>> {
    let (api, mut page) = (kind.api(client, namespace), ListParams::default().limit(PAGE));
    let mut targets = Vec::new();
    loop {
        let list = api.list_metadata(&page).await?;
        targets.extend(list.items.into_iter().map(|item| Target {
            kind,
            namespace: namespace.to_owned(),
            name: item.metadata.name.unwrap_or_default(),
            uid: item.metadata.uid.unwrap_or_default(),
            version: item.metadata.resource_version.unwrap_or_default(),
        }));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(targets),
        }
    }
}

async fn publish(client: &Client, mut event: Value, target: &Target) -> Result<()> {
    event["metadata"] = json!({"name": Uuid::new_v4(), "namespace": target.namespace});
    event["regarding"]["kind"] = target.kind.resource().kind.into();
    event["regarding"]["name"] = target.name.clone().into();
    event["regarding"]["namespace"] = target.namespace.clone().into();
    event["regarding"]["uid"] = target.uid.clone().into();
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", target.namespace);
    let request = http::Request::post(path).header("content-type", "application/json");
    client.request_text(request.body(serde_json::to_vec(&event)?)?).await?;
    Ok(())
}
