//! The source of etcd, kube-apiserver and kubectl: `KUBEBUILDER_ASSETS`, the user's cache, or a build into that cache.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::cache::non_empty_var;
use crate::go::{Module, Program, Version};

/// A plain `go build` leaves the versions at 0.0.0.
pub(crate) const KUBERNETES: Version = Version {
    module: "k8s.io/kubernetes",
    variables: &[
        "k8s.io/component-base/version.gitVersion=v{version}",
        "k8s.io/component-base/version.gitMajor={major}",
        "k8s.io/component-base/version.gitMinor={minor}",
        "k8s.io/component-base/version.gitTreeState=clean",
        "k8s.io/client-go/pkg/version.gitVersion=v{version}",
        "k8s.io/client-go/pkg/version.gitMajor={major}",
        "k8s.io/client-go/pkg/version.gitMinor={minor}",
        "k8s.io/client-go/pkg/version.gitTreeState=clean",
    ],
};

const CONTROL_PLANE: Module = Module {
    name: "control-plane",
    go_mod: include_str!("../../tools/control-plane/go.mod"),
    go_sum: include_str!("../../tools/control-plane/go.sum"),
    main: None,
    programs: &[
        Program { name: "kube-apiserver", package: "k8s.io/kubernetes/cmd/kube-apiserver" },
        Program { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl" },
        Program { name: "etcd", package: "go.etcd.io/etcd/server/v3" },
    ],
    tags: "",
    versions: &[KUBERNETES],
    instead: "or set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver and kubectl",
};

/// A directory that holds the three programs.
#[derive(Debug, Clone)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    pub(super) fn etcd(&self) -> PathBuf {
        self.0.join("etcd")
    }

    pub(super) fn kube_apiserver(&self) -> PathBuf {
        self.0.join("kube-apiserver")
    }

    pub(super) fn kubectl(&self) -> PathBuf {
        self.0.join("kubectl")
    }
}

/// Finds the programs, or builds them once into the user's cache. Blocks, for minutes if it has to build.
///
/// # Errors
/// If `KUBEBUILDER_ASSETS` names a directory that lacks one of them, no cache directory is known, or the build fails.
pub(super) fn find_or_build() -> Result<Binaries> {
    let Some(dir) = non_empty_var("KUBEBUILDER_ASSETS") else {
        return CONTROL_PLANE.find_or_build().map(Binaries);
    };
    if let Some(missing) = CONTROL_PLANE.missing_in(&dir) {
        bail!(
            "KUBEBUILDER_ASSETS is {}, but there is no `{missing}` in it; let it name a directory with etcd, \
             kube-apiserver and kubectl, or unset it to have them built",
            dir.display()
        );
    }
    Ok(Binaries(dir))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;

    #[test]
    fn every_staging_module_has_the_same_release_as_kubernetes() {
        let release = CONTROL_PLANE.version_of("k8s.io/kubernetes").unwrap();
        let (expected, mut seen) = (format!("v0.{}", release.strip_prefix("1.").unwrap()), 0);
        for line in CONTROL_PLANE.go_mod.lines().filter(|line| line.contains(" => k8s.io/")) {
            assert!(line.ends_with(&expected), "{line} is not of {expected}");
            seen += 1;
        }
        assert!(seen > 20, "only {seen} staging modules are replaced");
    }
}
