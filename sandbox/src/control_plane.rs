//! A real etcd and kube-apiserver on loopback, and the kubectl of the same release.
//!
//! The programs are found (in `KUBEBUILDER_ASSETS` or the user's cache) or built once from Go modules. A start takes a
//! few seconds. RBAC, service account tokens, the default admission plugins, priority and fairness and an audit log
//! are on. All files are in one scratch directory. The processes end and the files are removed when the value is
//! dropped, or when the process that created it ends in any way.
//!
//! No controller manager runs. So nothing creates the service account `default` of a new namespace, aggregates roles,
//! collects garbage, empties a namespace that is being deleted, or runs pods.

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

use self::audit::Audited;
pub use self::audit::{AuditEvent, AuditReader};
use self::binaries::Binaries;
pub(crate) use self::binaries::KUBERNETES;
pub use self::install::OPERATOR_NAMESPACE;
use self::servers::Servers;
use crate::process::{self, ScratchDir};

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

/// A running control plane. It does not depend on a tokio runtime. Each caller creates its own client.
#[derive(Debug)]
pub struct ControlPlane {
    url: String,
    admin_token: String,
    binaries: Binaries,
    // Fields are dropped in this order, so the servers end before their files are removed.
    servers: Servers,
    scratch: ScratchDir,
}

impl ControlPlane {
    /// Builds the programs, unless they are found, so that the next start takes seconds.
    ///
    /// # Errors
    /// If they can neither be found nor built. The error says what to do.
    pub async fn prepare() -> Result<()> {
        tokio::task::spawn_blocking(binaries::find_or_build).await?.map(drop)
    }

    /// Starts a control plane for one caller and waits until it is ready. The first start on a machine may have to
    /// build the programs, which takes minutes and is reported on standard error.
    ///
    /// # Errors
    /// If the programs can neither be found nor built, or do not become ready. The error says what to do, or shows the
    /// last lines of their logs.
    pub async fn start() -> Result<Self> {
        Self::start_with(Audited::Operator, false).await
    }

    /// As [`Self::start`], with an etcd that syncs each write to the disk before it answers, as in production.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_durable() -> Result<Self> {
        Self::start_with(Audited::Operator, true).await
    }

    /// As [`Self::start`], with all requests in the audit log, and not only those about the operator's kinds, Events and
    /// Leases.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with_full_audit() -> Result<Self> {
        Self::start_with(Audited::All, false).await
    }

    async fn start_with(audited: Audited, durable: bool) -> Result<Self> {
        let binaries = tokio::task::spawn_blocking(binaries::find_or_build).await??;
        let scratch = process::scratch_dir()?;
        fs::create_dir(scratch.path().join("home"))?;
        let admin_token = Uuid::new_v4().simple().to_string();
        let servers = Servers::prepare(scratch.path(), binaries.clone(), &admin_token, audited, durable)?;
        let url = format!("https://127.0.0.1:{}", servers.port);
        let control_plane = Self { url, admin_token, binaries, servers, scratch };
        let kubeconfig = control_plane.kubeconfig_for(control_plane.url(), &control_plane.admin_token);
        fs::write(control_plane.kubeconfig(), kubeconfig.to_string())?;
        control_plane.servers.start_etcd()?;
        control_plane.start_api_server().await?;
        Ok(control_plane)
    }

    /// Returns the control plane that all tests of a program share. The first caller starts it. It must not be
    /// stopped.
    ///
    /// # Errors
    /// As [`Self::start`]. The next caller tries again.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// The URL of kube-apiserver, `https://127.0.0.1:PORT`. It stays the same when kube-apiserver is started again.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed kube-apiserver's certificate, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.servers.pki.ca_pem
    }

    /// The administrator's kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("admin.kubeconfig")
    }

    /// The directory with all files of this control plane, logs included. It is removed with the control plane.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// The process IDs of the running servers: etcd, then kube-apiserver.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.servers.ids()
    }

    /// Returns the requests about the operator's kinds, Events and Leases that kube-apiserver has answered so far, of
    /// all clients and in order. An event may appear here a moment after the client has the response. A watch appears
    /// when it ends.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEvent>> {
        Ok(AuditReader::from_start(self.servers.audit_log()).events()?.to_vec())
    }

    /// Returns a reader of the requests about one namespace that kube-apiserver answers from now on. Where many tests
    /// share a control plane, reading the whole log again each time would take seconds.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub fn audit_reader(&self, namespace: &str) -> Result<AuditReader> {
        AuditReader::from_now(self.servers.audit_log(), namespace)
    }

    /// Kills etcd. kube-apiserver keeps running and fails. Does nothing if etcd is stopped.
    ///
    /// # Errors
    /// If the operating system rejects the signal.
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

    /// Kills kube-apiserver. Connections break, and new ones are refused. Does nothing if it is stopped.
    ///
    /// # Errors
    /// If the operating system rejects the signal.
    pub fn stop_api_server(&self) -> Result<()> {
        self.servers.stop_api_server()
    }

    /// Freezes kube-apiserver. Connections stay open and get no response. Does nothing if it is stopped.
    ///
    /// # Errors
    /// If it has ended.
    pub fn freeze_api_server(&self) -> Result<()> {
        self.servers.freeze_api_server()
    }

    /// Resumes a frozen kube-apiserver. Does nothing if it is stopped.
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
