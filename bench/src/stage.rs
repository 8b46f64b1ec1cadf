//! The environment of a scenario: its own control plane with the operator's CRDs and permissions.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::operator::Operator;
use cde_sandbox::process::{self, ScratchDir};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{GetParams, ListParams, PostParams};
use kube::{Api, Client};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::kind::Kind;
use crate::script::{self, Script};
use crate::store::Store;
use crate::usage::Usage;

/// The interval between checks whether all objects are finished. It is long because each check affects the measurement.
const POLL: Duration = Duration::from_millis(500);
/// The time limit for the API server to serve what was stored in etcd.
const SERVED: Duration = Duration::from_mins(2);
/// The operator's service account.
pub(crate) const ACCOUNT: &str = "cde-operator";

/// A control plane and the tools to use it. Dropping it ends all of its processes.
pub(crate) struct Stage {
    pub(crate) plane: ControlPlane,
    pub(crate) admin: Client,
    pub(crate) store: Store,
    /// A kubeconfig of the operator's service account.
    pub(crate) kubeconfig: PathBuf,
    /// The number of the run, from 0.
    pub(crate) run: usize,
    operator: PathBuf,
    script: OnceCell<Script>,
    scratch: ScratchDir,
}

impl Stage {
    /// Starts a control plane for the operator binary `program`.
    ///
    /// # Errors
    /// If the control plane does not start, or the manifests cannot be installed.
    pub(crate) async fn set(program: &Path, run: usize) -> Result<Self> {
        Self::set_on(ControlPlane::start().await?, program, run).await
    }

    /// Returns the same with a control plane of its own, whose etcd syncs each write to the disk.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(crate) async fn durable(&self) -> Result<Self> {
        Self::set_on(ControlPlane::start_durable().await?, &self.operator, self.run).await
    }

    /// Does the same as [`Self::set`] on a control plane that runs already.
    ///
    /// # Errors
    /// If the manifests cannot be installed.
    pub(crate) async fn set_on(plane: ControlPlane, program: &Path, run: usize) -> Result<Self> {
        let scratch = process::scratch_dir()?;
        plane.install(|_, _| ()).await?;
        let kubeconfig = plane.service_account(OPERATOR_NAMESPACE, ACCOUNT, None).await?;
        let (admin, store) = (plane.admin().await?, Store::of(&plane)?);
        let (operator, script) = (program.to_owned(), OnceCell::new());
        Ok(Self { plane, admin, store, kubeconfig, run, operator, script, scratch })
    }

    /// Creates a namespace whose name begins with `what`, and returns the name.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub(crate) async fn namespace(&self, what: &str) -> Result<String> {
        new_namespace(&self.admin, what).await
    }

    /// Returns what the operator writes for a request; the first call records it.
    ///
    /// # Errors
    /// If the operator does not make the expected writes.
    pub(crate) async fn script(&self) -> Result<&Script> {
        self.script.get_or_try_init(|| script::record(self)).await
    }

    /// Returns a file with the same, for another process.
    ///
    /// # Errors
    /// If the operator does not make the expected writes.
    pub(crate) async fn script_file(&self) -> Result<PathBuf> {
        let file = self.file("script.json");
        std::fs::write(&file, serde_json::to_vec(self.script().await?)?)?;
        Ok(file)
    }

    /// Starts an empty simulated CDE in its own process.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn cde(&self) -> Result<Remote> {
        Remote::start(&std::env::current_exe()?, &["cde"]).await
    }

    /// Does the same. It accepts the tokens of the authorization server with this introspection endpoint.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn cde_with_introspection(&self, introspection: &Url) -> Result<Remote> {
        Remote::start(&std::env::current_exe()?, &["cde", "--introspection", introspection.as_str()]).await
    }

    /// Starts an operator that watches `namespace`, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub(crate) async fn operator(&self, cde: &Remote, namespace: &str, flags: &[&str]) -> Result<Operator> {
        self.operator_as(&self.kubeconfig, cde, namespace, flags).await
    }

    /// Does the same with another program.
    ///
    /// # Errors
    /// If it does not become ready.
    pub(crate) async fn operator_program(
        &self,
        program: &Path,
        cde: &Remote,
        namespace: &str,
        flags: &[&str],
    ) -> Result<Operator> {
        let flags = [&["--namespaces", namespace], flags].concat();
        Operator::start(program, self.scratch.path(), &self.kubeconfig, cde, &flags).await
    }

    /// Does the same as `operator` with another kubeconfig.
    ///
    /// # Errors
    /// If it does not become ready.
    pub(crate) async fn operator_as(
        &self,
        kubeconfig: &Path,
        cde: &Remote,
        namespace: &str,
        flags: &[&str],
    ) -> Result<Operator> {
        let flags = [&["--namespaces", namespace], flags].concat();
        Operator::start(&self.operator, self.scratch.path(), kubeconfig, cde, &flags).await
    }

    /// Starts an operator without a token file. `flags` name the Secret of its login and the authorization server.
    ///
    /// # Errors
    /// If it does not become ready.
    pub(crate) async fn operator_in_login_mode(
        &self,
        cde: &Remote,
        namespace: &str,
        flags: &[&str],
    ) -> Result<Operator> {
        let flags = [&["--namespaces", namespace], flags].concat();
        let scratch = self.scratch.path();
        Operator::start_in_login_mode(&self.operator, scratch, &self.kubeconfig, cde, &flags).await
    }

    /// Returns the path of the operator's program.
    pub(crate) fn program(&self) -> &Path {
        &self.operator
    }

    /// Returns the path of a temporary file with this name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Returns the CPU time of etcd and kube-apiserver so far.
    ///
    /// # Errors
    /// If one of them is not running.
    pub(crate) fn servers_cpu(&self) -> Result<Duration> {
        self.plane.process_ids().into_iter().map(|id| Ok(Usage::of(id)?.cpu)).sum()
    }

    /// Waits until each object in the namespace has succeeded.
    ///
    /// # Errors
    /// If that takes longer than `limit`.
    pub(crate) async fn all_succeeded(&self, namespace: &str, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        for kind in Kind::ALL {
            while self.any(kind, namespace, "status.outcome!=Succeeded").await? {
                ensure!(
                    begun.elapsed() < limit,
                    "not all objects in {namespace} are finished after {limit:?}"
                );
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Waits until the API server's cache has this object and all objects that were stored before it. Otherwise the
    /// next request would wait for the cache.
    ///
    /// # Errors
    /// If the object does not appear in time.
    pub(crate) async fn serves(&self, kind: Kind, object: &Value) -> Result<()> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (api, begun) = (kind.api(&self.admin, text("namespace")), Instant::now());
        // Any version: the cached one, without waiting for a newer one.
        while let Err(error) = api.get_with(text("name"), &GetParams::any()).await {
            ensure!(begun.elapsed() < SERVED, "{} is not served: {error}", text("name"));
            tokio::time::sleep(POLL / 10).await;
        }
        Ok(())
    }

    /// Returns whether any object matches the field selector.
    ///
    /// # Errors
    /// If the API server does not list them.
    pub(crate) async fn any(&self, kind: Kind, namespace: &str, selector: &str) -> Result<bool> {
        let one = ListParams::default().fields(selector).limit(1);
        let list = kind.api(&self.admin, namespace).list_metadata(&one).await;
        let list = list.with_context(|| format!("listing {}", kind.plural()))?;
        // An empty page is not always the last page.
        Ok(!list.items.is_empty() || list.metadata.continue_.is_some_and(|token| !token.is_empty()))
    }
}

/// Creates a namespace whose name begins with `what`, and returns the name.
///
/// # Errors
/// If the API server rejects it.
pub(crate) async fn new_namespace(client: &Client, what: &str) -> Result<String> {
    let name = format!("{what}-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.clone());
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(name)
}
