//! The two versions, and how to install one in a cluster.

use std::path::PathBuf;
use std::time::Instant;

use cde_sandbox::program::workspace;

use crate::tools::tools;
use cde_harness::{Flags, LIMIT, POLL, TestEnv};

/// A version of the operator with its CRDs and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Earlier,
    Present,
}

use Version::{Earlier as Old, Present};

impl Version {
    /// Returns a file or directory of its repository.
    pub(crate) async fn path(self, part: &str) -> PathBuf {
        match self {
            Old => tools().await.earlier.path(part),
            Present => workspace().join(part),
        }
    }

    /// Returns the flags of a replica in a pod of this name, with leader election as in the manifests. Calls may be
    /// held for long.
    pub(crate) async fn replica(self, pod: &str, timeout: &str) -> Flags {
        let flags = Flags::fast_retries().with("--timeout", timeout);
        let flags = flags.env("CDE_LEADER_ELECTION", "true").env("POD_NAME", pod);
        match self {
            Old => Flags { program: tools().await.earlier.program(), ..flags },
            Present => flags,
        }
    }

    /// Applies its CRDs, as a user does, and waits until they are in force.
    pub(crate) async fn define(self, env: &TestEnv) {
        self.apply(env, "crds").await;
        let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
        env.control_plane.kubectl_ok(&established, "").await.expect("they are established");
        let begun = Instant::now();
        while !self.is_in_force(env).await {
            assert!(begun.elapsed() < LIMIT, "the CRDs are not in force");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Applies its permissions.
    pub(crate) async fn grant(self, env: &TestEnv) {
        self.apply(env, "deploy/rbac").await;
    }

    async fn apply(self, env: &TestEnv, part: &str) {
        let path = self.path(part).await;
        let apply = ["apply", "-k", path.to_str().expect("a path that is text")];
        env.control_plane.kubectl_ok(&apply, "").await.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Returns whether its CRDs are in force, because the API server publishes them after it has begun to apply them.
    /// Only the present ones have a confirmed outcome.
    /// present ones know a confirmed outcome.
    async fn is_in_force(self, env: &TestEnv) -> bool {
        let path = "/openapi/v3/apis/cde.productsup.com/v1alpha1";
        let published = env.control_plane.kubectl_ok(&["get", "--raw", path], "").await.unwrap_or_default();
        published.contains("MigrationRollback") && published.contains("ConfirmedFailed") == (self == Present)
    }
}
