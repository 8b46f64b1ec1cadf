//! The cluster in which a template's objects are processed: a control plane of the benchmark with the operator or with the
//! controllers of Kubernetes, or a cluster of the user.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cde_operator::api::GROUP;
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::{AuditReader, ControlPlane};
use cde_sandbox::controllers;
use cde_sandbox::operator::Operator;
use cde_sandbox::process::{self, Process};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Scope, pinned_kind};
use kube::{Api, Client, Config};
use serde_json::json;

use super::PeerArgs;
use super::requests::Requests;
use super::template::Template;
use crate::stage::{Stage, new_namespace};
use crate::usage::Usage;

/// Without a new request for this long, no more are expected.
const QUIET: Duration = Duration::from_secs(3);
/// A cluster of the user may never be quiet.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// The service account of the controllers. The audit log tells it from the administrator.
const SYSTEM: &str = "kube-system";
const ACCOUNT: &str = "controllers";

pub(crate) struct Place {
    pub(crate) cde: Remote,
    pub(crate) namespace: String,
    /// Whether calls reach the simulated CDE.
    pub(crate) calls: bool,
    /// The kind of each manifest of the template, and whether its objects have a namespace.
    pub(crate) kinds: Vec<(ApiResource, Scope)>,
    client: Client,
    world: World,
    processes: Vec<u32>,
}

enum World {
    Own(Box<Own>),
    /// A kubeconfig.
    Cluster(String),
}

/// The processes end in the order of these fields.
struct Own {
    _operator: Option<Operator>,
    _controllers: Vec<Process>,
    audit: AuditReader,
    stage: Stage,
}

/// The state of all counters at one moment.
pub(crate) struct Reading {
    pub(crate) requests: Requests,
    pub(crate) cpu: Duration,
    pub(crate) peak: u64,
    /// CPU time of etcd and kube-apiserver, if the benchmark started them.
    pub(crate) servers: Option<Duration>,
}

impl Place {
    /// Uses the cluster of this kubeconfig.
    ///
    /// # Errors
    /// If no namespace can be created in it.
    pub(crate) async fn cluster(args: &PeerArgs, kubeconfig: &Path) -> Result<Self> {
        // Fails if a provider is installed already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let cde = cde(args).await?;
        let namespace = new_namespace(&client, "peer").await?;
        let world = World::Cluster(kubeconfig.to_string_lossy().into_owned());
        Ok(Self {
            cde,
            namespace,
            calls: true,
            kinds: Vec::new(),
            client,
            world,
            processes: args.process.clone(),
        })
    }

    /// Starts a control plane, and on it what processes the template's objects.
    ///
    /// # Errors
    /// If something does not start, or nothing here processes such objects.
    pub(crate) async fn own(args: &PeerArgs, template: &Template, program: &Path) -> Result<Self> {
        let stage = Stage::set_on(ControlPlane::start_with_full_audit().await?, program, 0).await?;
        let (cde, namespace) = (cde(args).await?, stage.namespace("peer").await?);
        let (mut operator, mut controllers) = (None, Vec::new());
        let processes = match template.group()?.as_str() {
            GROUP => {
                let flags = ["--rate", "0", "--concurrency", &args.concurrency.to_string()];
                let started = stage.operator(&cde, &namespace, &flags).await?;
                vec![operator.insert(started).process_id()]
            }
            "batch" => {
                controllers = kubernetes(&stage).await?;
                // kwok, the last one, takes the place of a kubelet, and its own cost says nothing about Jobs.
                controllers.iter().take(2).map(Process::id).collect()
            }
            group => bail!("nothing here processes objects of {group:?}; name a cluster with --kubeconfig"),
        };
        let audit = stage.plane.audit_reader(&namespace)?;
        let (client, calls) = (stage.admin.clone(), operator.is_some());
        let own = Own { _operator: operator, _controllers: controllers, audit, stage };
        let world = World::Own(Box::new(own));
        Ok(Self { cde, namespace, calls, kinds: Vec::new(), client, world, processes })
    }

    /// Returns a command that runs kubectl as the administrator.
    pub(crate) fn kubectl(&self) -> Command {
        match &self.world {
            World::Own(own) => own.stage.plane.kubectl(),
            World::Cluster(kubeconfig) => {
                let mut kubectl = Command::new("kubectl");
                kubectl.args(["--kubeconfig", kubeconfig]);
                kubectl
            }
        }
    }

    /// Finds the kinds of the template's manifests.
    ///
    /// # Errors
    /// If the API server does not know one.
    pub(crate) async fn discover(&mut self, manifests: &[DynamicObject]) -> Result<()> {
        for manifest in manifests {
            let types = manifest.types.as_ref().context("a manifest without a kind")?;
            let kind = GroupVersionKind::try_from(types)?;
            let (resource, capabilities) = pinned_kind(&self.client, &kind).await.with_context(|| {
                format!("the API server does not know {}, {}", types.kind, types.api_version)
            })?;
            self.kinds.push((resource, capabilities.scope));
        }
        Ok(())
    }

    /// Creates one object after the other.
    ///
    /// # Errors
    /// If the API server rejects one.
    pub(crate) async fn create(&self, manifests: Vec<DynamicObject>) -> Result<()> {
        for ((resource, scope), manifest) in self.kinds.iter().zip(manifests) {
            let created = self.api(resource, scope).create(&PostParams::default(), &manifest).await;
            created.with_context(|| format!("creating one of {}", resource.plural))?;
        }
        Ok(())
    }

    /// Deletes the namespace in a cluster of the user, and the objects of these manifests that are outside of it.
    ///
    /// # Errors
    /// If the API server rejects the deletion of the namespace.
    pub(crate) async fn clean(&self, manifests: impl Iterator<Item = DynamicObject>) -> Result<()> {
        if matches!(self.world, World::Own(_)) {
            return Ok(());
        }
        for (manifest, (resource, scope)) in manifests.zip(self.kinds.iter().cycle()) {
            if *scope == Scope::Cluster {
                // Not all were created if the measurement failed.
                let name = manifest.metadata.name.unwrap_or_default();
                let _ = self.api(resource, scope).delete(&name, &DeleteParams::default()).await;
            }
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    fn api(&self, resource: &ApiResource, scope: &Scope) -> Api<DynamicObject> {
        match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), &self.namespace, resource),
        }
    }

    /// Reads all counters.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(crate) async fn reading(&mut self) -> Result<Reading> {
        let (requests, servers) = match &mut self.world {
            World::Own(own) => (Requests::of_audit(own.audit.events()?), Some(own.stage.servers_cpu()?)),
            World::Cluster(_) => {
                let metrics = http::Request::get("/metrics").body(Vec::new())?;
                let text = self.client.request_text(metrics).await.context("the API server's metrics")?;
                (Requests::of_metrics(&text)?, None)
            }
        };
        let usage = self.processes.iter().map(|id| Usage::of(*id)).collect::<Result<Vec<_>>>()?;
        let (cpu, peak) = (usage.iter().map(|of| of.cpu).sum(), usage.iter().map(|of| of.peak).sum());
        Ok(Reading { requests, cpu, peak, servers })
    }

    /// Waits until the API server gets no more requests, and returns the counters after the last one.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) async fn settled(&mut self) -> Result<Reading> {
        // The metrics of an API server are several megabytes.
        let poll = if matches!(self.world, World::Own(_)) { POLL } else { QUIET };
        let (begun, mut since, mut last) = (Instant::now(), Instant::now(), self.reading().await?);
        while since.elapsed() < QUIET && begun.elapsed() < LIMIT {
            tokio::time::sleep(poll).await;
            let now = self.reading().await?;
            if now.requests != last.requests {
                (since, last) = (Instant::now(), now);
            }
        }
        Ok(last)
    }
}

async fn cde(args: &PeerArgs) -> Result<Remote> {
    Remote::start_on(args.listen, &std::env::current_exe()?, &["cde"]).await
}

/// Starts the controllers of Kubernetes, and kwok with a node.
async fn kubernetes(stage: &Stage) -> Result<Vec<Process>> {
    let programs = tokio::task::spawn_blocking(controllers::kube_controllers).await??;
    let account = format!("{SYSTEM}:{ACCOUNT}");
    stage.plane.kubectl_ok(&["create", "serviceaccount", ACCOUNT, "--namespace", SYSTEM], "").await?;
    let bind = ["create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", "--serviceaccount"];
    stage.plane.kubectl_ok(&[&bind[..], &[&account]].concat(), "").await?;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}});
    stage.plane.kubectl_ok(&["apply", "-f", "-"], &node.to_string()).await?;
    let kubeconfig = stage.plane.service_account(SYSTEM, ACCOUNT, None).await?;
    let commands = programs.commands(&stage.plane, &kubeconfig, &stage.file(""))?;
    let start = |(name, command)| process::spawn_logged(command, &stage.file(&format!("{name}.log")));
    Ok(commands.into_iter().map(start).collect::<Result<_, _>>()?)
}
