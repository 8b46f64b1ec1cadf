//! The bare worker, which is the limit for the operator: a process that does the I/O of each request and nothing else.
//!
//! It has the operator's HTTP clients, runtime and concurrency, and kube's watches with typed objects, which also receive its
//! own writes. For each new object, it writes two statuses, makes the operator's calls to the CDE, and publishes an Event.
//! The statuses and the Event are structs with new IDs. It decides and verifies nothing, and reads only the version from the
//! responses to its writes. After `--objects`, it prints its resource usage on one line and ends.

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, ensure};
use cde_operator::api::{ConnectorRestore, MigrationRollback, RestoreResult, RollbackResult, Status};
use cde_operator::http_client::{self, read_body};
use cde_operator::runtime::api_server::client;
use cde_sandbox::cde::Remote;
use clap::Args;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderMap};
use http::{HeaderValue, Method};
use k8s_openapi::api::events::v1::Event;
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Config, Resource};
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::event;
use crate::kind::{Each, Kind};
use crate::script::Script;
use crate::stage::Stage;
use crate::status::Target;
use crate::usage::Usage;

/// The operator's timeouts of requests and watches.
const TIMEOUT: Duration = Duration::from_secs(30);
const WATCH_TIMEOUT: Duration = Duration::from_secs(75);
/// The operator's field selector.
const OPEN: &str = "status.outcome!=Succeeded,status.outcome!=Skipped";
/// Events that are published at the same time, as in the operator.
const EVENTS: usize = 8;
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The arguments of the process.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// The namespace of the objects.
    #[arg(long)]
    namespace: String,
    /// The number of objects processed at the same time.
    #[arg(long)]
    concurrency: u16,
    /// The number of objects after which the process ends.
    #[arg(long)]
    objects: Option<usize>,
    /// The base URL of the CDE.
    #[arg(long)]
    url: Url,
    /// The token for the CDE.
    #[arg(long)]
    token: String,
    /// The file with the recorded writes.
    #[arg(long)]
    script: PathBuf,
    /// Print no usage. A debug build cannot read its usage under Valgrind.
    #[arg(long)]
    silent: bool,
}

/// Returns the command line of a worker.
///
/// # Errors
/// If the operator's writes cannot be recorded.
pub(crate) async fn command(
    stage: &Stage,
    cde: &Remote,
    namespace: &str,
    concurrency: u16,
    objects: Option<usize>,
) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["work", "--namespace", namespace, "--concurrency", &concurrency.to_string()]);
    command.args(["--url", cde.url(), "--token", cde.token()]);
    if let Some(objects) = objects {
        command.args(["--objects", &objects.to_string()]);
    }
    command.arg("--script").arg(stage.script_file().await?).env("KUBECONFIG", &stage.kubeconfig);
    Ok(command)
}

/// The main function of the process.
///
/// # Errors
/// If the API server or the CDE rejects a request, or a watch fails.
pub(crate) async fn work(args: WorkerArgs) -> Result<()> {
    // Fails if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::infer().await?;
    // Two clients, like the operator: a watch occupies the connection that it uses.
    let (watching, writing) = (client(config.clone(), WATCH_TIMEOUT, None)?, client(config, TIMEOUT, None)?);
    let (restores, rollbacks) =
        (new_objects(&watching, &args.namespace), new_objects(&watching, &args.namespace));
    let watched = stream::select(restores.map_ok(New::Restore), rollbacks.map_ok(New::Rollback));
    // Read as they come, because the API server closes a watch whose client is slow.
    let (found, objects) = unbounded();
    let watched = watched.map_err(Error::from).try_for_each(move |object| {
        // The receiver is gone when all objects are processed.
        let _ = found.unbounded_send(object);
        future::ok(())
    });
    let (events, published) = unbounded();
    let worker = Worker::new(writing.clone(), &args, events)?;
    let performed = async move {
        // The worker is dropped at the end, which ends the stream of Events.
        let objects = objects.take(args.objects.unwrap_or(usize::MAX)).map(Ok);
        objects.try_for_each_concurrent(usize::from(args.concurrency), |object| worker.perform(object)).await
    };
    let published = published
        .map(Ok)
        .try_for_each_concurrent(EVENTS, async |event| event::publish(&writing, &event).await);
    let finished = future::try_join(performed, published);
    // The watches go on until the end, and so receive each write, as those of an operator.
    tokio::select! {
        watched = watched => watched?,
        finished = finished => drop(finished?),
    }
    if args.silent { Ok(()) } else { Usage::own()?.print() }
}

/// A new object.
enum New {
    Restore(ConnectorRestore),
    Rollback(MigrationRollback),
}

/// Watches a namespace and returns the objects that have no request yet, each once, although a watch may list again.
fn new_objects<K, R>(client: &Client, namespace: &str) -> impl Stream<Item = watcher::Result<K>> + use<K, R>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + HasStatus<Status = Status<R>>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(OPEN).streaming_lists();
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let mut returned = HashSet::new();
    watcher(api, config).try_filter_map(move |event| {
        let (watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event else {
            return future::ok(None);
        };
        let is_new = object.status().is_none_or(|status| status.operation.is_none())
            && returned.insert(object.meta().uid.clone());
        future::ok(is_new.then_some(object))
    })
}

struct Worker {
    api_server: Client,
    cde: reqwest::Client,
    url: Url,
    token: String,
    restore: Vec<Status<RestoreResult>>,
    rollback: Vec<Status<RollbackResult>>,
    event: Event,
    events: UnboundedSender<Event>,
}

impl Worker {
    fn new(api_server: Client, args: &WorkerArgs, events: UnboundedSender<Event>) -> Result<Self> {
        let Script { statuses: Each { restore, rollback }, event } = read(&args.script)?;
        let options = http_client::Options {
            timeout: TIMEOUT,
            ca_file: None,
            user_agent: concat!("cde-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        Ok(Self {
            api_server,
            cde: http_client::build(&args.url, &options)?,
            url: args.url.clone(),
            token: args.token.clone(),
            restore: decoded(restore)?,
            rollback: decoded(rollback)?,
            event,
            events,
        })
    }

    async fn perform(&self, object: New) -> Result<()> {
        match object {
            New::Restore(object) => {
                let path = format!("connectors/{}", object.spec.connector_id);
                let calls = [(Method::PATCH, format!("{path}/restore-from-bin"))];
                self.request(Target::of(Kind::Restore, object.metadata), &self.restore, calls).await
            }
            New::Rollback(object) => {
                let path = format!("connectors/{}", object.spec.connector_id);
                let rollback = format!("{path}/versions/1/migration/rollback");
                let calls = [(Method::GET, path), (Method::POST, rollback)];
                self.request(Target::of(Kind::Rollback, object.metadata), &self.rollback, calls).await
            }
        }
    }

    async fn request<R: Clone + Serialize>(
        &self,
        mut target: Target,
        statuses: &[Status<R>],
        calls: impl IntoIterator<Item = (Method, String)>,
    ) -> Result<()> {
        let id = Uuid::new_v4().to_string();
        let (outcome, claims) = statuses.split_last().context("no status was recorded")?;
        for claim in claims {
            target.put(&self.api_server, &of_request(claim, &id)).await?;
        }
        for (method, path) in calls {
            self.call(method, &path, &id).await?;
        }
        target.put(&self.api_server, &of_request(outcome, &id)).await?;
        self.events.unbounded_send(event::about(&target, &self.event))?;
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, id: &str) -> Result<()> {
        let mut request = reqwest::Request::new(method, self.url.join(path)?);
        *request.headers_mut() = self.headers(request.method(), id)?;
        let mut response = self.cde.execute(request).await?;
        ensure!(response.status().is_success(), "the CDE responded {} to {path}", response.status());
        read_body(&mut response, MAX_BODY).await.map_err(Error::msg)?;
        Ok(())
    }

    fn headers(&self, method: &Method, id: &str) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", self.token))?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("x-request-id", HeaderValue::try_from(format!("{id}-1"))?);
        if method != Method::GET {
            headers.insert("idempotency-key", HeaderValue::try_from(id)?);
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(headers)
    }
}

fn read(script: &Path) -> Result<Script> {
    Ok(serde_json::from_slice(&std::fs::read(script)?)?)
}

fn decoded<R: DeserializeOwned>(statuses: Vec<Value>) -> Result<Vec<Status<R>>> {
    statuses.into_iter().map(|status| Ok(serde_json::from_value(status)?)).collect()
}

/// Returns a status like this one, of the request `id`.
fn of_request<R: Clone>(like: &Status<R>, id: &str) -> Status<R> {
    let mut status = like.clone();
    if let Some(operation) = &mut status.operation {
        id.clone_into(&mut operation.id);
    }
    status
}
