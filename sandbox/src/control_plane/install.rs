//! Installs the repository's `crds/` and `deploy/`, or the `install.yaml` of a release.

use std::path::Path;

use anyhow::Result;

use super::ControlPlane;
use crate::program::workspace;

/// The namespace of the operator and its service account in `deploy/`.
pub const OPERATOR_NAMESPACE: &str = "cde-operator-system";

impl ControlPlane {
    /// Installs the CRDs, the operator's namespace, its permissions and the warnings, and waits until the API server serves
    /// both kinds. Leaves out the Deployment, because no kubelet runs here. Calls `tell` with each command (without
    /// `kubectl`) and its output.
    ///
    /// # Errors
    /// If kubectl fails.
    pub async fn install(&self, mut tell: impl FnMut(&str, &str)) -> Result<()> {
        for (how, path) in [
            ("-k", "crds"),
            ("-f", "deploy/namespace.yaml"),
            ("-k", "deploy/rbac"),
            ("-k", "deploy/policies/warnings"),
        ] {
            let whole = workspace().join(path);
            let said = self.kubectl_ok(&["apply", how, &whole.to_string_lossy()], "").await?;
            tell(&format!("apply {how} {path}"), said.trim_end());
        }
        self.serves_both_kinds().await
    }

    /// Installs everything in the `install.yaml` of a release, and waits until the API server serves both kinds. No Pod of
    /// its Deployment starts. Calls `tell` as [`install`](Self::install) does.
    ///
    /// # Errors
    /// If kubectl fails.
    pub async fn install_release(&self, manifest: &Path, mut tell: impl FnMut(&str, &str)) -> Result<()> {
        let command = ["apply", "--server-side", "-f", &manifest.to_string_lossy()];
        let said = self.kubectl_ok(&command, "").await?;
        tell(&command.join(" "), said.trim_end());
        self.serves_both_kinds().await
    }

    async fn serves_both_kinds(&self) -> Result<()> {
        let served = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
        self.kubectl_ok(&served, "").await.map(drop)
    }
}
