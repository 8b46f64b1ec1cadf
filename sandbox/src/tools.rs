//! Third-party tools that check what the repository ships, and servers that the tests need, each built once from a Go
//! module pinned in `sandbox/tools`.
//!
//! All functions block while they build, for minutes at most. Later calls find the result in the cache.

use std::path::PathBuf;

use anyhow::Result;

use crate::go::{Module, Program, Version};

const INSTEAD: &str = "for the tests use it";

const HELM: Module = Module {
    name: "helm",
    go_mod: include_str!("../tools/helm/go.mod"),
    go_sum: include_str!("../tools/helm/go.sum"),
    main: None,
    programs: &[Program { name: "helm", package: "helm.sh/helm/v3/cmd/helm" }],
    tags: "",
    // The Kubernetes version that `helm template` and `helm lint` assume when they contact no server.
    versions: &[
        Version {
            module: "helm.sh/helm/v3",
            variables: &["helm.sh/helm/v3/internal/version.version=v{version}"],
        },
        Version {
            module: "k8s.io/client-go",
            variables: &[
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1",
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={minor}",
                "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1",
                "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor={minor}",
            ],
        },
    ],
    instead: INSTEAD,
};

const PROMETHEUS: Module = Module {
    name: "prometheus",
    go_mod: include_str!("../tools/prometheus/go.mod"),
    go_sum: include_str!("../tools/prometheus/go.sum"),
    main: None,
    programs: &[
        Program { name: "prometheus", package: "github.com/prometheus/prometheus/cmd/prometheus" },
        Program { name: "promtool", package: "github.com/prometheus/prometheus/cmd/promtool" },
    ],
    // Only static targets are scraped here. The cloud providers' libraries would be most of the build.
    tags: "netgo,remove_all_sd",
    versions: &[],
    instead: INSTEAD,
};

const KUBECONFORM: Module = Module {
    name: "kubeconform",
    go_mod: include_str!("../tools/kubeconform/go.mod"),
    go_sum: include_str!("../tools/kubeconform/go.sum"),
    main: None,
    programs: &[Program { name: "kubeconform", package: "github.com/yannh/kubeconform/cmd/kubeconform" }],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const CILIUM: Module = Module {
    name: "cilium",
    go_mod: include_str!("../tools/cilium/go.mod"),
    go_sum: include_str!("../tools/cilium/go.sum"),
    main: None,
    programs: &[],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const GOPHER_LUA: Module = Module {
    name: "gopher-lua",
    go_mod: include_str!("../tools/gopher-lua/go.mod"),
    go_sum: include_str!("../tools/gopher-lua/go.sum"),
    main: Some(include_str!("../tools/gopher-lua/main.go")),
    programs: &[Program { name: "gopher-lua", package: "." }],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const KSTATUS: Module = Module {
    name: "kstatus",
    go_mod: include_str!("../tools/kstatus/go.mod"),
    go_sum: include_str!("../tools/kstatus/go.sum"),
    main: Some(include_str!("../tools/kstatus/main.go")),
    programs: &[Program { name: "kstatus", package: "." }],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const KREW: Module = Module {
    name: "krew",
    go_mod: include_str!("../tools/krew/go.mod"),
    go_sum: include_str!("../tools/krew/go.sum"),
    main: None,
    programs: &[
        Program { name: "kubectl-krew", package: "sigs.k8s.io/krew/cmd/krew" },
        Program { name: "validate-krew-manifest", package: "sigs.k8s.io/krew/cmd/validate-krew-manifest" },
    ],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

const AUTHORIZATION_SERVER: Module = Module {
    name: "authorization-server",
    go_mod: include_str!("../tools/authorization-server/go.mod"),
    go_sum: include_str!("../tools/authorization-server/go.sum"),
    main: Some(include_str!("../tools/authorization-server/main.go")),
    programs: &[Program { name: "authorization-server", package: "." }],
    tags: "",
    versions: &[],
    instead: INSTEAD,
};

/// Returns the path of Helm 3.
///
/// # Errors
/// If it cannot be built: without Go, its modules, or a cache directory.
pub fn helm() -> Result<PathBuf> {
    program(&HELM, "helm")
}

/// Returns the path of the Prometheus server, built with static targets only.
///
/// # Errors
/// As [`helm`].
pub fn prometheus() -> Result<PathBuf> {
    program(&PROMETHEUS, "prometheus")
}

/// Returns the path of promtool, which checks metrics, rules and their tests.
///
/// # Errors
/// As [`helm`].
pub fn promtool() -> Result<PathBuf> {
    program(&PROMETHEUS, "promtool")
}

/// Returns the path of kubeconform, which compares manifests with JSON schemas.
///
/// # Errors
/// As [`helm`].
pub fn kubeconform() -> Result<PathBuf> {
    program(&KUBECONFORM, "kubeconform")
}

/// Returns the manifest of the CRD `CiliumNetworkPolicy`.
///
/// # Errors
/// Without Go, or without the module.
pub fn cilium_network_policy_crd() -> Result<PathBuf> {
    let source = CILIUM.source_dir("github.com/cilium/cilium")?;
    Ok(source.join("pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"))
}

/// Returns the path of a program that runs scripts in Argo CD's Lua: a JSON list of scripts with objects in, a JSON
/// list of results out.
///
/// # Errors
/// As [`helm`].
pub fn gopher_lua() -> Result<PathBuf> {
    program(&GOPHER_LUA, "gopher-lua")
}

/// Returns the path of a program that computes the kstatus of objects as Flux and Helm do: a JSON list in, a JSON list
/// out.
///
/// # Errors
/// As [`helm`].
pub fn kstatus() -> Result<PathBuf> {
    program(&KSTATUS, "kstatus")
}

/// Returns the path of krew, under the name by which kubectl finds it. The same directory has `validate-krew-manifest`, which
/// runs `kubectl krew` to install what a manifest names.
///
/// # Errors
/// As [`helm`].
pub fn krew() -> Result<PathBuf> {
    program(&KREW, "kubectl-krew")
}

/// Returns the path of the OAuth 2.0 authorization server that [`crate::authorization_server`] runs.
///
/// # Errors
/// As [`helm`].
pub fn authorization_server() -> Result<PathBuf> {
    program(&AUTHORIZATION_SERVER, "authorization-server")
}

fn program(module: &Module, name: &str) -> Result<PathBuf> {
    Ok(module.find_or_build()?.join(name))
}
