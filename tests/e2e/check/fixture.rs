//! Starts a control plane with all of `deploy/` but the Deployment and a simulated CDE API, and runs the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cde_harness::{SHARED, operator_program};
use cde_sandbox::cde::Sandbox;
use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::process::{self, ScratchDir};
use serde::Deserialize;

/// One finding, as the JSON output shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Finding {
    pub(crate) check: String,
    pub(crate) verdict: String,
    pub(crate) message: String,
}

/// Returns the control plane, which these tests share with others.
pub(crate) async fn installed() -> &'static ControlPlane {
    SHARED.get().await
}

/// Returns a kubeconfig of the operator's service account.
pub(crate) async fn operator() -> PathBuf {
    installed().await.service_account(OPERATOR_NAMESPACE, "cde-operator", None).await.unwrap()
}

/// The arguments and the environment of the program.
pub(crate) struct Check {
    pub(crate) cde: Sandbox,
    kubeconfig: PathBuf,
    scratch: ScratchDir,
    flags: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Check {
    /// Returns a check that runs as the user in `kubeconfig`.
    pub(crate) async fn run_as(kubeconfig: &Path) -> Self {
        let (cde, scratch) = (Sandbox::start().await.unwrap(), process::scratch_dir().unwrap());
        fs::write(scratch.path().join("token"), cde.token()).unwrap();
        Self { cde, kubeconfig: kubeconfig.to_owned(), scratch, flags: Vec::new(), variables: Vec::new() }
    }

    pub(crate) fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) async fn run(&self) -> Output {
        let mut command = Command::new(operator_program());
        command
            .args(["check", "--url", &self.cde.url()])
            .arg("--token-file")
            .arg(self.scratch.path().join("token"))
            .args(&self.flags)
            .env_clear()
            .envs(self.variables.iter().copied())
            .env("KUBECONFIG", &self.kubeconfig);
        // A pod knows its namespace. A user who checks another account does not set it.
        if !self.flags.iter().any(|flag| flag.starts_with("--as=")) {
            command.env("POD_NAMESPACE", OPERATOR_NAMESPACE);
        }
        process::output(command, b"").await.unwrap()
    }

    /// Runs the check and returns the findings and the exit code.
    pub(crate) async fn findings(self) -> (Vec<Finding>, i32) {
        let output = self.flag("--output=json").run().await;
        let findings = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (findings, output.status.code().unwrap())
    }
}

/// Returns the verdicts on this check, in order.
pub(crate) fn verdicts<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a str> {
    findings.iter().filter(|one| one.check == check).map(|one| one.verdict.as_str()).collect()
}

/// Returns the only message on this check.
pub(crate) fn message<'a>(findings: &'a [Finding], check: &str) -> &'a str {
    let mut of = findings.iter().filter(|one| one.check == check);
    let one = of.next().unwrap_or_else(|| panic!("no finding about {check}: {findings:?}"));
    assert_eq!(of.next(), None);
    &one.message
}
