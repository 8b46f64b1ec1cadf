//! All that runs during the demo. Everything ends, and its files are removed, when the value is dropped.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::operator::Operator;
use cde_sandbox::process::{self, ScratchDir};
use cde_sandbox::program::{self, Profile};

use super::terminal::{heading, say};
use super::{cluster, sample};

/// Short times, so that the demo takes less than a minute.
const FLAGS: [&str; 7] =
    ["--leader-election=true", "--timeout", "3s", "--retry-min", "1s", "--retry-max", "2s"];

/// The processes, in the order in which they end, and their files.
pub(crate) struct Environment {
    /// The operator's own program.
    pub(crate) operator: Operator,
    /// The simulated CDE API.
    pub(crate) sandbox: Remote,
    /// etcd and kube-apiserver.
    pub(crate) control_plane: ControlPlane,
    _scratch: ScratchDir,
}

impl Environment {
    /// Builds what is missing, starts everything and waits until it is ready. `operator` is a binary to use as it is.
    ///
    /// # Errors
    /// If something cannot be built or started. The error says what.
    pub(crate) async fn start(operator: Option<PathBuf>) -> Result<Self> {
        // An error only means that a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scratch = process::scratch_dir()?;
        heading("Building");
        let operator = match operator {
            Some(program) => program,
            None => program::build("cde-operator", Profile::Dev, scratch.path()).await?,
        };
        let sandbox = program::build("cde-sandbox", Profile::Dev, scratch.path()).await?;

        heading("Starting");
        let begin = Instant::now();
        let control_plane = ControlPlane::start().await?;
        say(&format!(
            "Control plane: {} (etcd and kube-apiserver, ready after {:.1} s)",
            control_plane.url(),
            begin.elapsed().as_secs_f32()
        ));
        let (connectors, faults) = (sample::connectors(), sample::faults());
        let seed = scratch.path().join("connectors.json");
        fs::write(&seed, serde_json::to_vec(&connectors)?)?;
        let sandbox = Remote::start(&sandbox, &["--seed", &seed.to_string_lossy()]).await?;
        sandbox.inject(&faults).await?;
        say(&format!(
            "CDE sandbox:   {} ({} connectors, {} injected faults)",
            sandbox.url(),
            connectors.len(),
            faults.len()
        ));
        cluster::install(&control_plane).await?;
        let kubeconfig = control_plane.service_account(OPERATOR_NAMESPACE, "cde-operator", None).await?;
        let operator = Operator::start(&operator, scratch.path(), &kubeconfig, &sandbox, &FLAGS).await?;
        say(&format!("Operator:      {} (ready, with the permissions of its service account)", operator.url));
        Ok(Self { operator, sandbox, control_plane, _scratch: scratch })
    }

    /// Stops the operator with SIGTERM, then ends everything else.
    ///
    /// # Errors
    /// If the operator does not exit in time with status 0.
    pub(crate) async fn stop(self) -> Result<()> {
        self.operator.stop().await
    }
}
