//! Installs all of `deploy/` but the Deployment on the control plane, which has no kubelet to run it.

use std::path::Path;

use anyhow::Result;

use super::NAMESPACE;
use super::terminal::say;
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::program::workspace;

/// The permissions of the login mode.
const LOGIN_ROLE: &str = "deploy/components/login/role.yaml";

/// Installs the CRDs, the namespace and the permissions, as `kubectl apply -k deploy/` does with the component for the
/// login mode, or from the `install.yaml` of a release.
pub(crate) async fn install(control_plane: &ControlPlane, release: Option<&Path>) -> Result<()> {
    let tell = |command: &str, said: &str| say(&format!("$ kubectl {command}\n{said}"));
    match release {
        None => control_plane.install(tell).await?,
        Some(manifest) => control_plane.install_release(manifest, tell).await?,
    }
    let role = workspace().join(LOGIN_ROLE);
    let said = control_plane.kubectl_ok(&["apply", "-f", &role.to_string_lossy()], "").await?;
    tell(&format!("apply -f {LOGIN_ROLE}"), said.trim_end());
    Ok(())
}

/// Applies the samples to a new namespace. Does not print kubectl's output, because a watch shows the samples.
pub(crate) async fn apply_samples(control_plane: &ControlPlane) -> Result<()> {
    control_plane.kubectl_ok(&["create", "namespace", NAMESPACE], "").await?;
    say(&format!("$ kubectl apply -n {NAMESPACE} -f deploy/samples"));
    let samples = workspace().join("deploy/samples");
    control_plane.kubectl_ok(&["apply", "-n", NAMESPACE, "-f", &samples.to_string_lossy()], "").await?;
    Ok(())
}
