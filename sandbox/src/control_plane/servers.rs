//! The two servers: their command lines, and how to tell that they are ready.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpSocket;

use super::audit::{self, Audited};
use super::binaries::Binaries;
use super::pki::{self, Pki};
use crate::process::{self, Process, Signal, tail};

const READY_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);
/// How much of each log goes into an error.
const TAIL_LINES: usize = 20;

/// Requested as the administrator once a server runs. `/readyz` covers the start-up hooks, including the one for RBAC
/// roles. The namespaces are created separately.
const READY_PATHS: [&str; 3] =
    ["/readyz", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view", "/api/v1/namespaces/default"];

/// etcd and kube-apiserver with their files in one directory. etcd listens on a Unix socket, kube-apiserver on
/// loopback.
#[derive(Debug)]
pub(super) struct Servers {
    dir: PathBuf,
    binaries: Binaries,
    durable: bool,
    pub(super) pki: Pki,
    pub(super) port: u16,
    // Bound but never listening. It reserves the port, also while kube-apiserver, which shares it, is stopped.
    _reserved: TcpSocket,
    etcd: Mutex<Option<Process>>,
    api_server: Mutex<Option<Process>>,
}

impl Servers {
    /// Writes the files of both servers into `dir` and reserves the port. Starts neither server. A `durable` etcd syncs
    /// each write to the disk before it answers.
    pub(super) fn prepare(
        dir: &Path,
        binaries: Binaries,
        admin_token: &str,
        audited: Audited,
        durable: bool,
    ) -> Result<Self> {
        let pki = pki::make(dir)?;
        fs::write(dir.join("tokens.csv"), format!("{admin_token},admin,admin,system:masters\n"))?;
        fs::write(dir.join("audit-policy.json"), audit::policy(audited).to_string())?;
        let reserved = TcpSocket::new_v4()?;
        reserved.set_reuseport(true)?;
        reserved.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self {
            dir: dir.to_owned(),
            binaries,
            durable,
            pki,
            port: reserved.local_addr()?.port(),
            _reserved: reserved,
            etcd: Mutex::new(None),
            api_server: Mutex::new(None),
        })
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    pub(super) fn start_etcd(&self) -> Result<()> {
        let socket = |name: &str| format!("unix://{}", self.dir.join(name).display());
        let mut command = Command::new(self.binaries.etcd());
        command
            .args((!self.durable).then_some("--unsafe-no-fsync"))
            .arg("--log-level=warn")
            .arg(format!("--data-dir={}", self.dir.join("etcd").display()))
            .arg(format!("--listen-client-urls={}", socket("etcd.sock")))
            .arg(format!("--listen-peer-urls={}", socket("peer.sock")))
            // Nothing asks a single member for its address, and etcd rejects a socket here.
            .arg("--advertise-client-urls=http://localhost:2379");
        start(&self.etcd, command, &self.log("etcd"))
    }

    pub(super) fn start_api_server(&self) -> Result<()> {
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let mut command = Command::new(self.binaries.kube_apiserver());
        command
            .arg(format!("--etcd-servers=unix://{}", self.dir.join("etcd.sock").display()))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--permit-port-sharing=true"])
            .arg(format!("--secure-port={}", self.port))
            .args(["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"])
            .arg("--authorization-mode=RBAC")
            .arg(file("token-auth-file", &self.dir.join("tokens.csv")))
            .arg(file("client-ca-file", &self.pki.ca_file))
            .arg(file("tls-cert-file", &self.pki.serving_cert))
            .arg(file("tls-private-key-file", &self.pki.serving_key))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(file("service-account-signing-key-file", &self.pki.service_account_key))
            .arg(file("service-account-key-file", &self.pki.service_account_public_key))
            .arg(file("audit-policy-file", &self.dir.join("audit-policy.json")))
            .arg(file("audit-log-path", &self.audit_log()))
            // In megabytes: large enough that the log is never rotated, so that readers find all of it in one file.
            .arg("--audit-log-maxsize=100000");
        start(&self.api_server, command, &self.log("kube-apiserver"))
    }

    pub(super) fn stop_etcd(&self) -> Result<()> {
        stop(&self.etcd)
    }

    pub(super) fn stop_api_server(&self) -> Result<()> {
        stop(&self.api_server)
    }

    pub(super) fn freeze_api_server(&self) -> Result<()> {
        lock(&self.api_server).as_mut().map_or(Ok(()), |server| Ok(server.freeze()?))
    }

    pub(super) fn thaw_api_server(&self) -> Result<()> {
        lock(&self.api_server).as_mut().map_or(Ok(()), |server| Ok(server.signal(Signal::CONT)?))
    }

    /// Returns the process IDs of the running servers.
    pub(super) fn ids(&self) -> Vec<u32> {
        [&self.etcd, &self.api_server]
            .into_iter()
            .filter_map(|server| lock(server).as_ref().map(Process::id))
            .collect()
    }

    /// Waits until both servers answer `admin` as they should.
    ///
    /// # Errors
    /// If one of them ends, or the time is over. The error has the last lines of both logs.
    pub(super) async fn ready(&self, admin: &kube::Client) -> Result<()> {
        let begin = Instant::now();
        for path in READY_PATHS {
            loop {
                let request = http::Request::get(path).body(Vec::new())?;
                let Err(error) = admin.request_text(request).await else { break };
                self.ensure_running()?;
                if begin.elapsed() > READY_LIMIT {
                    return Err(error)
                        .context(self.failure(&format!("not ready after {READY_LIMIT:?} ({path})")));
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    fn ensure_running(&self) -> Result<()> {
        for (name, server) in [("etcd", &self.etcd), ("kube-apiserver", &self.api_server)] {
            if let Some(status) = lock(server).as_mut().map(Process::try_wait).transpose()?.flatten() {
                bail!(self.failure(&format!("{name} has ended ({status})")));
            }
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> String {
        let end_of = |server| tail(&self.log(server), TAIL_LINES);
        let (etcd, api_server) = (end_of("etcd"), end_of("kube-apiserver"));
        format!("the control plane did not start: {what}\n--- etcd\n{etcd}\n--- kube-apiserver\n{api_server}")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }
}

fn lock(server: &Mutex<Option<Process>>) -> std::sync::MutexGuard<'_, Option<Process>> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(server: &Mutex<Option<Process>>, command: Command, log: &Path) -> Result<()> {
    let mut server = lock(server);
    if server.is_none() {
        *server = Some(process::spawn_logged(command, log)?);
    }
    Ok(())
}

/// Uses `SIGKILL`, because a server that ends gracefully would first answer its open requests.
fn stop(server: &Mutex<Option<Process>>) -> Result<()> {
    if let Some(mut process) = lock(server).take() {
        process.kill()?;
    }
    Ok(())
}
