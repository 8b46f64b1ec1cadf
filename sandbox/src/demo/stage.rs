//! All that runs during the demo. It goes, with its files, when the stage is dropped.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::operator::Operator;
use cde_sandbox::process::{self, ScratchDir};
use cde_sandbox::program::{self, Profile};

use super::screen::{heading, say};
use super::{cluster, sample};

/// Short, so that the demo ends in time.
const FLAGS: [&str; 7] =
    ["--leader-election=true", "--timeout", "3s", "--retry-min", "1s", "--retry-max", "2s"];

/// The processes, in the order in which they end, and their files.
pub(crate) struct Stage {
    /// The real program.
    pub(crate) operator: Operator,
    /// The CDE.
    pub(crate) sandbox: Remote,
    /// etcd and kube-apiserver.
    pub(crate) control_plane: ControlPlane,
    _scratch: ScratchDir,
}

impl Stage {
    /// Builds what is not built yet (the operator unless it is given), starts everything and waits until it is ready.
    ///
    /// # Errors
    /// If something cannot be built or started; the sentence says what.
    pub(crate) async fn set(operator: Option<PathBuf>) -> Result<Self> {
        // Whoever comes second is told that there is a provider already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scratch = process::scratch_dir()?;
        heading("The programs");
        let operator = match operator {
            Some(program) => program,
            None => program::build("cde-operator", Profile::Dev, scratch.path()).await?,
        };
        let sandbox = program::build("cde-sandbox", Profile::Dev, scratch.path()).await?;

        heading("The stage");
        let begin = Instant::now();
        let control_plane = ControlPlane::start().await?;
        say(&format!(
            "etcd and kube-apiserver: {}, after {:.1} s",
            control_plane.url(),
            begin.elapsed().as_secs_f32()
        ));
        let (connectors, faults) = (sample::connectors(), sample::faults());
        let seed = scratch.path().join("connectors.json");
        fs::write(&seed, serde_json::to_vec(&connectors)?)?;
        let sandbox = Remote::start(&sandbox, &["--seed", &seed.to_string_lossy()]).await?;
        sandbox.inject(&faults).await?;
        say(&format!(
            "CDE sandbox: {}, {} connectors, {} faults",
            sandbox.url(),
            connectors.len(),
            faults.len()
        ));
        cluster::install(&control_plane).await?;
        let kubeconfig = control_plane.service_account(OPERATOR_NAMESPACE, "cde-operator", None).await?;
        let operator = Operator::start(&operator, scratch.path(), &kubeconfig, &sandbox, &FLAGS).await?;
        say(&format!("operator: {}/readyz says ok, as its service account", operator.url));
        Ok(Self { operator, sandbox, control_plane, _scratch: scratch })
    }

    /// Ends everything, the operator first and politely.
    ///
    /// # Errors
    /// If the operator does not end as it should.
    pub(crate) async fn stop(self) -> Result<()> {
        self.operator.stop().await
    }
}
