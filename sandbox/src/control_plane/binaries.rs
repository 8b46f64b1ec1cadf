//! Where etcd, kube-apiserver and kubectl come from: `KUBEBUILDER_ASSETS`, the user's cache, or a build into it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::build;

pub(super) const GO_MOD: &str = include_str!("../../control-plane/go.mod");
pub(super) const GO_SUM: &str = include_str!("../../control-plane/go.sum");

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

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

/// Finds the programs, or builds them once into the user's cache. Blocks: minutes when it has to build.
///
/// # Errors
/// If `KUBEBUILDER_ASSETS` names a directory that lacks one of them, no cache directory is known, or the build fails.
pub(super) fn find_or_build() -> Result<Binaries> {
    if let Some(dir) = non_empty_var("KUBEBUILDER_ASSETS") {
        if let Some(missing) = missing_program(&dir) {
            bail!(
                "KUBEBUILDER_ASSETS is {}, but there is no `{missing}` in it; let it name a directory with {}, or \
                 unset it to have them built",
                dir.display(),
                PROGRAMS.join(", ")
            );
        }
        return Ok(Binaries(dir));
    }
    find_or_build_in(&cache_dir()?)
}

/// As [`find_or_build`], in `cache`, which is made where missing. Of several processes one builds and the others wait.
pub(super) fn find_or_build_in(cache: &Path) -> Result<Binaries> {
    let dir = cache.join(fingerprint());
    if missing_program(&dir).is_none() {
        return Ok(Binaries(dir));
    }
    fs::create_dir_all(cache)
        .with_context(|| format!("cannot create the cache directory {}", cache.display()))?;
    let _lock = build::lock(cache)?;
    if missing_program(&dir).is_some() {
        build::build(cache, &dir)?;
    }
    Ok(Binaries(dir))
}

/// The version that go.mod requires of `module`, such as `v1.36.3`.
pub(super) fn version_of(module: &str) -> Result<&'static str> {
    GO_MOD
        .lines()
        .find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(" v"))
        .map(|rest| rest.split(' ').next().unwrap_or(rest))
        .with_context(|| format!("control-plane/go.mod requires no version of {module}"))
}

fn missing_program(dir: &Path) -> Option<&'static str> {
    PROGRAMS.into_iter().find(|program| !dir.join(program).is_file())
}

/// Names what was built from what. A hash that changes with the Rust release costs a build, nothing else.
fn fingerprint() -> String {
    let mut hasher = DefaultHasher::new();
    (GO_MOD, GO_SUM, build::VERSION_VARIABLES, std::env::consts::OS, std::env::consts::ARCH)
        .hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn cache_dir() -> Result<PathBuf> {
    let caches =
        non_empty_var("XDG_CACHE_HOME").or_else(|| non_empty_var("HOME").map(|home| home.join(".cache")));
    Ok(caches
        .context("neither XDG_CACHE_HOME nor HOME is set; set one, or KUBEBUILDER_ASSETS to where the programs are")?
        .join("cde-operator/control-plane"))
}

fn non_empty_var(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]

    use super::*;

    #[test]
    fn the_pinned_versions_are_read_from_go_mod() {
        assert_eq!(version_of("k8s.io/kubernetes").unwrap(), "1.36.3");
        assert_eq!(version_of("go.etcd.io/etcd/server/v3").unwrap(), "3.6.8");
        assert!(version_of("example.com/none").unwrap_err().to_string().contains("requires no version"));
    }

    #[test]
    fn every_staging_module_is_of_the_same_release_as_kubernetes() {
        let minor_and_patch = version_of("k8s.io/kubernetes").unwrap().strip_prefix("1.").unwrap();
        let (expected, mut seen) = (format!("v0.{minor_and_patch}"), 0);
        for line in GO_MOD.lines().filter(|line| line.contains(" => k8s.io/")) {
            assert!(line.ends_with(&expected), "{line} is not of {expected}");
            seen += 1;
        }
        assert!(seen > 20, "only {seen} staging modules are replaced");
    }

    #[test]
    fn a_cache_that_is_complete_is_used_as_it_is() {
        let cache = crate::process::scratch_dir().unwrap();
        let dir = cache.path().join(fingerprint());
        fs::create_dir_all(&dir).unwrap();
        for program in PROGRAMS {
            fs::write(dir.join(program), "").unwrap();
        }
        assert_eq!(find_or_build_in(cache.path()).unwrap().etcd(), dir.join("etcd"));
    }
}
