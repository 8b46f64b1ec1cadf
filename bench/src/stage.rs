//! What every scenario plays on: a control plane of its own with the operator's definitions and rights.

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
use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::kind::Kind;
use crate::script::{self, Script};
use crate::store::Store;
use crate::usage::Usage;

/// How often is asked whether all are finished: seldom, for it costs what is measured.
const POLL: Duration = Duration::from_millis(500);
/// The API server has taken in what was stored by then.
const SERVED: Duration = Duration::from_mins(2);
/// The operator's service account.
pub(crate) const ACCOUNT: &str = "cde-operator";

/// A control plane and what is needed to play on it. All of it ends when it is dropped.
pub(crate) struct Stage {
    pub(crate) plane: ControlPlane,
    pub(crate) admin: Client,
    pub(crate) store: Store,
    /// A kubeconfig of the operator's service account.
    pub(crate) kubeconfig: PathBuf,
    /// Counts from 0.
    pub(crate) run: usize,
    operator: PathBuf,
    script: OnceCell<Script>,
    scratch: ScratchDir,
}

impl Stage {
    /// Starts a control plane for the operator `program`.
    ///
    /// # Errors
    /// If it does not start, or something cannot be installed.
    pub(crate) async fn set(program: &Path, run: usize) -> Result<Self> {
        let scratch = process::scratch_dir()?;
        let plane = ControlPlane::start().await?;
        plane.install(|_, _| ()).await?;
        let kubeconfig = plane.service_account(OPERATOR_NAMESPACE, ACCOUNT, None).await?;
        let (admin, store) = (plane.admin().await?, Store::of(&plane)?);
        let (operator, script) = (program.to_owned(), OnceCell::new());
        Ok(Self { plane, admin, store, kubeconfig, run, operator, script, scratch })
    }

    /// A new namespace, its name beginning with `what`.
    ///
    /// # Errors
    /// If the API server refuses.
    pub(crate) async fn namespace(&self, what: &str) -> Result<String> {
        let name = format!("{what}-{}", &Uuid::new_v4().simple().to_string()[..8]);
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        Api::all(self.admin.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(name)
    }

    /// What the operator writes for a request; recorded when it is first asked for.
    ///
    /// # Errors
    /// If it does not write what it should.
    pub(crate) async fn script(&self) -> Result<&Script> {
        self.script.get_or_try_init(|| script::record(self)).await
    }

    /// An empty CDE, in a process of its own.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn cde(&self) -> Result<Remote> {
        Remote::start(&std::env::current_exe()?, &["cde"]).await
    }

    /// A ready operator that watches `namespace`.
    ///
    /// # Errors
    /// If it does not get ready.
    pub(crate) async fn operator(&self, cde: &Remote, namespace: &str, flags: &[&str]) -> Result<Operator> {
        self.operator_as(&self.kubeconfig, cde, namespace, flags).await
    }

    /// The same with another kubeconfig.
    ///
    /// # Errors
    /// If it does not get ready.
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

    /// Where files may be put.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// CPU time of etcd and kube-apiserver so far.
    ///
    /// # Errors
    /// If one of them does not run.
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
                ensure!(begun.elapsed() < limit, "not all are finished after {limit:?} (see {namespace})");
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Waits until the API server's cache has this object, which comes after all that were stored before it: else
    /// whoever asks next would wait for that.
    ///
    /// # Errors
    /// If that does not come.
    pub(crate) async fn serves(&self, kind: Kind, object: &Value) -> Result<()> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (api, begun) = (kind.api(&self.admin, text("namespace")), Instant::now());
        // Any version: what the cache has, without waiting for it.
        while let Err(error) = api.get_with(text("name"), &GetParams::any()).await {
            ensure!(begun.elapsed() < SERVED, "{} is not served: {error}", text("name"));
            tokio::time::sleep(POLL / 10).await;
        }
        Ok(())
    }

    /// Whether there is any object that the selector means.
    ///
    /// # Errors
    /// If the API server does not say.
    pub(crate) async fn any(&self, kind: Kind, namespace: &str, selector: &str) -> Result<bool> {
        let one = ListParams::default().fields(selector).limit(1);
        let list = kind.api(&self.admin, namespace).list_metadata(&one).await;
        let list = list.with_context(|| format!("a list of {}", kind.plural()))?;
        // A page may be empty and yet not be the last one.
        Ok(!list.items.is_empty() || list.metadata.continue_.is_some_and(|token| !token.is_empty()))
    }
}
