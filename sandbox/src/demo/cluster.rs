//! What is installed on the control plane: all of `deploy/` but the Deployment, for no kubelet runs here.

use anyhow::Result;

use super::NAMESPACE;
use super::screen::say;
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::program::workspace;

/// Definitions, namespace and rights, as `kubectl apply -k deploy/` brings them.
pub(crate) async fn install(control_plane: &ControlPlane) -> Result<()> {
    control_plane.install(|command, said| say(&format!("$ kubectl {command}\n{said}"))).await
}

/// The samples, into a namespace of their own. What kubectl says of them is left out: they are being watched.
pub(crate) async fn apply_samples(control_plane: &ControlPlane) -> Result<()> {
    control_plane.kubectl_ok(&["create", "namespace", NAMESPACE], "").await?;
    say(&format!("$ kubectl apply -n {NAMESPACE} -f deploy/samples"));
    let samples = workspace().join("deploy/samples");
    control_plane.kubectl_ok(&["apply", "-n", NAMESPACE, "-f", &samples.to_string_lossy()], "").await?;
    Ok(())
}
