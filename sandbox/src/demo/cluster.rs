//! What is installed on the control plane: all of `deploy/` but the Deployment, for no kubelet runs here.

use std::path::Path;

use anyhow::Result;

use super::NAMESPACE;
use super::screen::say;
use cde_sandbox::control_plane::ControlPlane;

/// The root of the repository.
pub(crate) fn workspace() -> &'static Path {
    let sandbox = Path::new(env!("CARGO_MANIFEST_DIR"));
    sandbox.parent().unwrap_or(sandbox)
}

/// Definitions, namespace and rights, as `kubectl apply -k deploy/` brings them.
pub(crate) async fn install(control_plane: &ControlPlane) -> Result<()> {
    for (how, path) in [("-k", "crds"), ("-f", "deploy/namespace.yaml"), ("-k", "deploy/rbac")] {
        say(kubectl(control_plane, &["apply", how], path).await?.trim_end());
    }
    control_plane
        .kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"], "")
        .await?;
    Ok(())
}

/// The samples, into a namespace of their own. What kubectl says of them is left out: they are being watched.
pub(crate) async fn apply_samples(control_plane: &ControlPlane) -> Result<()> {
    control_plane.kubectl_ok(&["create", "namespace", NAMESPACE], "").await?;
    kubectl(control_plane, &["apply", "-n", NAMESPACE, "-f"], "deploy/samples").await?;
    Ok(())
}

/// Shows and runs one command on a path of the repository; gives what it says.
async fn kubectl(control_plane: &ControlPlane, command: &[&str], path: &str) -> Result<String> {
    say(&format!("$ kubectl {} {path}", command.join(" ")));
    let path = workspace().join(path);
    control_plane.kubectl_ok(&[command, &[&path.to_string_lossy()]].concat(), "").await
}
