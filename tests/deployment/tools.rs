//! What these tests need from elsewhere: third-party tools, and the operator of an earlier commit.
//!
//! Everything is found in the user's cache or built into it before the first control plane starts. A build that
//! started in the middle of a test would outlast the calls that the test holds.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cde_harness::{ControlPlane, Operator, SHARED, TestEnv};
use cde_sandbox::control_plane::ControlPlane as Servers;
use cde_sandbox::tools;
use tokio::sync::OnceCell;

use crate::upgrade::Earlier;

/// Programs that are ready to run, and files of other projects.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) helm: PathBuf,
    pub(crate) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
    pub(crate) kubeconform: PathBuf,
    pub(crate) cilium_network_policy_crd: PathBuf,
    pub(crate) gopher_lua: PathBuf,
    pub(crate) kstatus: PathBuf,
    pub(crate) earlier: Earlier,
}

/// Returns all of them. On a machine with an empty cache the first call takes minutes, and each build reports on
/// standard error what it does.
pub(crate) async fn tools() -> &'static Tools {
    static TOOLS: OnceCell<Tools> = OnceCell::const_new();
    let tools = TOOLS.get_or_try_init(find_or_build).await;
    tools.unwrap_or_else(|error| panic!("{error:#}"))
}

async fn find_or_build() -> Result<Tools> {
    // One after the other: each of them keeps all cores busy.
    Ok(Tools {
        helm: build(tools::helm).await?,
        prometheus: build(tools::prometheus).await?,
        promtool: build(tools::promtool).await?,
        kubeconform: build(tools::kubeconform).await?,
        cilium_network_policy_crd: build(tools::cilium_network_policy_crd).await?,
        gopher_lua: build(tools::gopher_lua).await?,
        kstatus: build(tools::kstatus).await?,
        earlier: Earlier::find_or_build().await.context("the earlier operator cannot be built")?,
    })
}

async fn build(tool: fn() -> Result<PathBuf>) -> Result<PathBuf> {
    tokio::task::spawn_blocking(tool).await?
}

/// As [`TestEnv::new`], with all tools ready.
pub(crate) async fn test_env() -> TestEnv {
    tools().await;
    TestEnv::new().await
}

/// As [`TestEnv::with_operator`], with all tools ready.
pub(crate) async fn with_operator() -> (TestEnv, Operator) {
    tools().await;
    TestEnv::with_operator().await
}

/// As [`TestEnv::with_fast_retries`], with all tools ready.
pub(crate) async fn with_fast_retries() -> (TestEnv, Operator) {
    tools().await;
    TestEnv::with_fast_retries().await
}

/// As [`ControlPlane::own`], with all tools ready.
pub(crate) async fn own_control_plane() -> ControlPlane {
    tools().await;
    ControlPlane::own().await
}

/// Returns the control plane that these tests share, with all tools ready.
pub(crate) async fn shared_control_plane() -> &'static Servers {
    tools().await;
    SHARED.get().await
}

/// Starts a control plane with nothing of `deploy/`, with all tools ready.
pub(crate) async fn empty_control_plane() -> Servers {
    tools().await;
    Servers::start().await.unwrap()
}
