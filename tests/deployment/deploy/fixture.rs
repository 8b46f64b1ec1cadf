//! The control plane that these tests share with others, with all of `deploy/` installed except the Deployment.

use crate::tools::shared_control_plane;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cde_sandbox::control_plane::ControlPlane;
use serde_json::Value;
use tokio::sync::OnceCell;

/// The namespace of the operator.
pub(crate) const OPERATOR_NAMESPACE: &str = "cde-operator-system";
/// The namespace of the requests.
pub(crate) const REQUEST_NAMESPACE: &str = "connectors";

const LIMIT: Duration = Duration::from_mins(1);

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Returns the path of a file or directory of the repository, as kubectl takes it.
pub(crate) fn path(relative: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative).display().to_string()
}

/// Returns a control plane with the CRDs, namespaces and permissions in force.
pub(crate) async fn installed() -> &'static ControlPlane {
    let control_plane = shared_control_plane().await;
    let create = ["create", "namespace", REQUEST_NAMESPACE];
    INSTALLED.get_or_init(async || drop(control_plane.kubectl_ok(&create, "").await.unwrap())).await;
    control_plane
}

/// Returns all objects of a kustomization of the repository, as kubectl renders it.
pub(crate) async fn rendered(relative: &str) -> Vec<Value> {
    let control_plane = shared_control_plane().await;
    let yaml = control_plane.kubectl_ok(&["kustomize", &path(relative)], "").await.unwrap();
    serde_saphyr::from_multiple(&yaml).unwrap()
}

/// Returns the only object of this kind and name.
pub(crate) async fn object(kind: &str, name: &str) -> Value {
    let all = rendered("deploy").await;
    let mut found = all.into_iter().filter(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    let object = found.next().unwrap_or_else(|| panic!("deploy/ has no {kind} {name}"));
    assert!(found.next().is_none(), "deploy/ has {kind} {name} twice");
    object
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < LIMIT, "after {LIMIT:?} it still does not hold that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
