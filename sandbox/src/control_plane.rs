//! A real etcd and kube-apiserver on loopback, and the kubectl of the same release.
//!
//! The programs are found (`KUBEBUILDER_ASSETS`, the user's cache) or built once from Go modules; a start takes a few
//! seconds. RBAC, service-account tokens, default admission, priority and fairness and an audit log are on. All files
//! are in one scratch directory; processes and files go when the value is dropped or the process that made it ends,
//! however it ends.
//!
//! Only the API server runs, no controller manager: nobody creates the service account `default` of a new namespace,
//! fills aggregated roles, collects garbage, empties namespaces that are being deleted, or runs pods.

mod access;
mod audit;
mod binaries;
mod install;
mod pki;
mod servers;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use self::audit::{AuditEvent, AuditReader};
use self::binaries::Binaries;
pub(crate) use self::binaries::KUBERNETES;
pub use self::install::OPERATOR_NAMESPACE;
use self::servers::Servers;
use crate::process::{self, ScratchDir};

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

/// A running control plane. It is tied to no runtime; clients are made per caller.
#[derive(Debug)]
pub struct ControlPlane {
    url: String,
    admin_token: String,
    binaries: Binaries,
    // The servers end before their files are removed: fields are dropped in this order.
    servers: Servers,
    scratch: ScratchDir,
}

impl ControlPlane {
    /// Starts a control plane of one's own and waits until it is ready. The first start on a machine may have to build
    /// the programs for minutes, and says so on standard error.
    ///
    /// # Errors
    /// If the programs can neither be found nor built, or do not get ready; the sentence says what to do, or shows the
    /// last lines of their logs.
    pub async fn start() -> Result<Self> {
        let binaries = tokio::task::spawn_blocking(binaries::find_or_build).await??;
        let scratch = process::scratch_dir()?;
        fs::create_dir(scratch.path().join("home"))?;
        let admin_token = Uuid::new_v4().simple().to_string();
        let servers = Servers::prepare(scratch.path(), binaries.clone(), &admin_token)?;
        let url = format!("https://127.0.0.1:{}", servers.port);
        let control_plane = Self { url, admin_token, binaries, servers, scratch };
        let kubeconfig = control_plane.kubeconfig_for(control_plane.url(), &control_plane.admin_token);
        fs::write(control_plane.kubeconfig(), kubeconfig.to_string())?;
        control_plane.servers.start_etcd()?;
        control_plane.start_api_server().await?;
        Ok(control_plane)
    }

    /// The one control plane that all tests of a program share, started by whoever asks first. It must not be stopped.
    ///
    /// # Errors
    /// As [`Self::start`]; the next caller tries again.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// The address of kube-apiserver, `https://127.0.0.1:PORT`; it stays the same when that is started again.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed kube-apiserver's, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.servers.pki.ca_pem
    }

    /// The administrator's kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("admin.kubeconfig")
    }

    /// The directory with all files of this control plane, logs included; it goes with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// The process ids of the servers that run now: etcd's, kube-apiserver's.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.servers.ids()
    }

    /// What kube-apiserver has answered so far about the operator's kinds, Events and Leases, by anybody, in order. An
    /// event may be a moment later here than its answer is at the client; a watch appears when it ends.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEvent>> {
        Ok(AuditReader::from_start(self.servers.audit_log()).events()?.to_vec())
    }

    /// Returns a reader of what kube-apiserver answers from now on about one namespace. Where many tests share a control
    /// plane, reading all of the log again and again takes seconds.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub fn audit_reader(&self, namespace: &str) -> Result<AuditReader> {
        AuditReader::from_now(self.servers.audit_log(), namespace)
    }

    /// Kills etcd: kube-apiserver goes on and fails. Does nothing if it is stopped.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop_etcd(&self) -> Result<()> {
        self.servers.stop_etcd()
    }

    /// Starts etcd again with its data, and waits until kube-apiserver, if it runs, is ready.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_etcd(&self) -> Result<()> {
        self.servers.start_etcd()?;
        if self.process_ids().len() < 2 {
            return Ok(());
        }
        self.servers.ready(&self.admin().await?).await
    }

    /// Kills kube-apiserver: connections break, new ones are refused. Does nothing if it is stopped.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop_api_server(&self) -> Result<()> {
        self.servers.stop_api_server()
    }

    /// Freezes kube-apiserver: connections stand, and nobody answers. Does nothing if it is stopped.
    ///
    /// # Errors
    /// If it has ended.
    pub fn freeze_api_server(&self) -> Result<()> {
        self.servers.freeze_api_server()
    }

    /// Lets a frozen kube-apiserver go on. Does nothing if it is stopped.
    ///
    /// # Errors
    /// If it has ended.
    pub fn thaw_api_server(&self) -> Result<()> {
        self.servers.thaw_api_server()
    }

    /// Starts kube-apiserver, on the same port, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_api_server(&self) -> Result<()> {
        self.servers.start_api_server()?;
        self.servers.ready(&self.admin().await?).await
    }
}
