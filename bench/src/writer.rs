//! The bare writer, which is the baseline for the operator: a process that lists the objects of a namespace and makes the
//! operator's status writes and Event for each of them, and nothing else.
//!
//! It has the operator's client configuration, runtime and concurrency. At the end it prints its resource usage on one
//! line.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use cde_operator::runtime::api_server::client;
use clap::Args;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Client, Config};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::event;
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
    /// The file with the recorded writes.
    #[arg(long)]
    script: PathBuf,
}

/// Runs a writer to its end and returns the resources that it used.
///
/// # Errors
/// If it fails; the error contains its standard error.
pub(crate) async fn run(stage: &Stage, namespace: &str, concurrency: u16) -> Result<Usage> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["write", "--namespace", namespace, "--concurrency", &concurrency.to_string(), "--script"]);
    command.arg(stage.script_file().await?).env("KUBECONFIG", &stage.kubeconfig);
    Usage::printed(command, "the bare writer").await
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
    Usage::own()?.print()
}

struct Work {
    targets: Vec<Target>,
    next: AtomicUsize,
    statuses: Each<Vec<Box<RawValue>>>,
    event: Event,
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
            event: script.event.clone(),
        })
    }

    fn next(&self) -> Option<Target> {
        self.targets.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }

    async fn write(&self, client: &Client, mut target: Target) -> Result<()> {
        for status in self.statuses.of(target.kind) {
            target.put(client, status).await?;
        }
        event::publish(client, &event::about(&target, &self.event)).await
    }
}

async fn list(client: &Client, kind: Kind, namespace: &str) -> Result<Vec<Target>> {
    let (api, mut page) = (kind.api(client, namespace), ListParams::default().limit(PAGE));
    let mut targets = Vec::new();
    loop {
        let list = api.list_metadata(&page).await?;
        targets.extend(list.items.into_iter().map(|item| Target::of(kind, item.metadata)));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(targets),
        }
    }
}
