//! What is installed on the control plane: all of `deploy/` but the Deployment, for no kubelet runs here.

use std::path::{Path, PathBuf};

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
    kubectl(control_plane, &["apply", "-k"], "crds").await?;
    kubectl(control_plane, &["apply", "-f"], "deploy/namespace.yaml").await?;
    kubectl(control_plane, &["apply", "-k"], "deploy/rbac").await?;
    control_plane
        .kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"], "")
        .await?;
    Ok(())
}

/// The samples, into a namespace of their own.
pub(crate) async fn apply_samples(control_plane: &ControlPlane) -> Result<()> {
    control_plane.kubectl_ok(&["create", "namespace", NAMESPACE], "").await?;
    kubectl(control_plane, &["apply", "-n", NAMESPACE, "-f"], "deploy/samples").await
}

/// Runs and shows one command on a path of the repository.
async fn kubectl(control_plane: &ControlPlane, command: &[&str], path: &str) -> Result<()> {
    say(&format!("$ kubectl {} {path}", command.join(" ")));
    let path: PathBuf = workspace().join(path);
    let path = path.to_string_lossy();
    let told = control_plane.kubectl_ok(&[command, &[&path]].concat(), "").await?;
    say(told.trim_end());
    Ok(())
}
