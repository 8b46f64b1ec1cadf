//! Installs the repository's `crds/` and `deploy/` without the Deployment, because no kubelet runs here.

use anyhow::Result;

use super::ControlPlane;
use crate::program::workspace;

/// The namespace of the operator and its service account in `deploy/`.
pub const OPERATOR_NAMESPACE: &str = "cde-operator-system";

impl ControlPlane {
    /// Installs the CRDs, the operator's namespace, its permissions and the warnings, and waits until the API server serves both
    /// kinds. Calls `tell` with each command (without `kubectl`) and its output.
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
        let served = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
        self.kubectl_ok(&served, "").await.map(drop)
    }
}
