//! What the repository's `crds/` and `deploy/` install, but the Deployment: no kubelet runs here.

use anyhow::Result;

use super::ControlPlane;
use crate::program::workspace;

/// Where `deploy/` puts the operator and its service account.
pub const OPERATOR_NAMESPACE: &str = "cde-operator-system";

impl ControlPlane {
    /// Installs the definitions, the operator's namespace and its rights, and waits until the kinds are served; `tell`
    /// is told each command (without `kubectl`) and what kubectl said.
    ///
    /// # Errors
    /// If kubectl fails.
    pub async fn install(&self, mut tell: impl FnMut(&str, &str)) -> Result<()> {
        for (how, path) in [("-k", "crds"), ("-f", "deploy/namespace.yaml"), ("-k", "deploy/rbac")] {
            let whole = workspace().join(path);
            let said = self.kubectl_ok(&["apply", how, &whole.to_string_lossy()], "").await?;
            tell(&format!("apply {how} {path}"), said.trim_end());
        }
        let served = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
        self.kubectl_ok(&served, "").await.map(drop)
    }
}
