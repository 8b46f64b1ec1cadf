//! All that runs during the demo. Everything ends, and its files are removed, when the value is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use cde_sandbox::authorization_server::AuthorizationServer;
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::operator::Operator;
use cde_sandbox::process::{self, ScratchDir};
use cde_sandbox::program::{self, Profile};

use super::terminal::{heading, say};
use super::{cluster, login, sample};

/// Short times, so that the demo takes less than a minute.
const FLAGS: [&str; 7] =
    ["--leader-election=true", "--timeout", "3s", "--retry-min", "1s", "--retry-max", "2s"];

/// The processes, in the order in which they end, and their files.
pub(crate) struct Environment {
    /// The operator's own program.
    pub(crate) operator: Operator,
    /// The simulated CDE API.
    pub(crate) sandbox: Remote,
    /// The authorization server, whose access tokens the simulated CDE API accepts.
    pub(crate) server: AuthorizationServer,
    /// The program that `kubectl cde` runs.
    pub(crate) plugin: PathBuf,
    /// etcd and kube-apiserver.
    pub(crate) control_plane: ControlPlane,
    _scratch: ScratchDir,
}

/// The programs of this workspace that run.
struct Programs {
    operator: PathBuf,
    sandbox: PathBuf,
    plugin: PathBuf,
}

impl Programs {
    async fn build(operator: Option<PathBuf>, scratch: &Path) -> Result<Self> {
        let build = async |name| program::build(name, Profile::Dev, scratch).await;
        let operator = match operator {
            Some(program) => program,
            None => build("cde-operator").await?,
        };
        Ok(Self { operator, sandbox: build("cde-sandbox").await?, plugin: build("kubectl-cde").await? })
    }
}

impl Environment {
    /// Builds what is missing, starts everything, logs in and waits until the operator is ready. `operator` is a binary to
    /// use as it is, and `release` the `install.yaml` to install instead of `deploy/`.
    ///
    /// # Errors
    /// If something cannot be built or started, or the login fails. The error says what.
    pub(crate) async fn start(operator: Option<PathBuf>, release: Option<&Path>) -> Result<Self> {
        // An error only means that a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scratch = process::scratch_dir()?;
        heading("Building");
        let programs = Programs::build(operator, scratch.path()).await?;

        heading("Starting");
        let begin = Instant::now();
        let control_plane = ControlPlane::start().await?;
        say(&format!(
            "Control plane: {} (etcd and kube-apiserver, ready after {:.1} s)",
            control_plane.url(),
            begin.elapsed().as_secs_f32()
        ));
        let server = login::start_server().await?;
        let sandbox = start_sandbox(&programs.sandbox, &server, scratch.path()).await?;
        cluster::install(&control_plane, release).await?;
        let kubeconfig = control_plane.service_account(OPERATOR_NAMESPACE, "cde-operator", None).await?;
        login::log_in(&control_plane, &server, &programs.plugin).await?;
        let login_flags = login::operator_flags(&server);
        let flags = [&FLAGS[..], &login_flags.each_ref().map(String::as_str)].concat();
        let operator =
            Operator::start_in_login_mode(&programs.operator, scratch.path(), &kubeconfig, &sandbox, &flags)
                .await?;
        say(&format!("Operator:      {} (ready, with the permissions of its service account)", operator.url));
        Ok(Self { operator, sandbox, server, plugin: programs.plugin, control_plane, _scratch: scratch })
    }

    /// Stops the operator with SIGTERM, then ends everything else.
    ///
    /// # Errors
    /// If the operator does not exit in time with status 0.
    pub(crate) async fn stop(self) -> Result<()> {
        self.operator.stop().await
    }
}

/// Starts the CDE sandbox with the connectors and the faults of all samples. It accepts the tokens of `server`.
async fn start_sandbox(program: &Path, server: &AuthorizationServer, scratch: &Path) -> Result<Remote> {
    let (connectors, faults) = (sample::connectors(), sample::faults());
    let seed = scratch.join("connectors.json");
    fs::write(&seed, serde_json::to_vec(&connectors)?)?;
    let introspection = server.introspection_url();
    let args = ["--seed", &seed.to_string_lossy(), "--introspection", introspection.as_str()];
    let sandbox = Remote::start(program, &args).await?;
    sandbox.inject(&faults).await?;
    say(&format!(
        "CDE sandbox:   {} ({} connectors, {} injected faults)",
        sandbox.url(),
        connectors.len(),
        faults.len()
    ));
    Ok(sandbox)
}
