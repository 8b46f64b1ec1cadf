//! Builds the programs from the Go modules pinned in `control-plane/go.mod`, once: under a lock, beside its place,
//! renamed when complete. Says on the real standard error what takes so long (test harnesses capture only macros).

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::binaries::{GO_MOD, GO_SUM, version_of};
use super::tail;
use crate::process;

const POLL: Duration = Duration::from_millis(200);
const BETWEEN_LINES: Duration = Duration::from_secs(15);
const INSTEAD: &str = "or set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver and kubectl";

/// The packages in which a Kubernetes program looks for its version; a plain `go build` leaves them at 0.0.0.
pub(super) const VERSION_VARIABLES: [&str; 2] =
    ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// Waits until no other process builds in `cache`. The lock goes with the returned file, or with its process.
pub(super) fn lock(cache: &Path) -> Result<File> {
    let path = cache.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut progress = Progress::new("waiting for another process that builds the control plane");
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => progress.tick(),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        std::thread::sleep(POLL);
    }
}

/// Builds all programs in a scratch directory in `cache` and renames it to `target`.
pub(super) fn build(cache: &Path, target: &Path) -> Result<()> {
    let scratch = process::scratch_dir_in(cache)?;
    fs::write(scratch.path().join("go.mod"), GO_MOD)?;
    fs::write(scratch.path().join("go.sum"), GO_SUM)?;
    fs::create_dir(scratch.path().join("bin"))?;
    ensure_go(scratch.path())?;

    let kubernetes = version_of("k8s.io/kubernetes")?;
    let packages = ["k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kubectl"];
    go_build(scratch.path(), &format!("kube-apiserver and kubectl {kubernetes}"), "bin", &packages)?;
    let etcd = version_of("go.etcd.io/etcd/server/v3")?;
    go_build(scratch.path(), &format!("etcd {etcd}"), "bin/etcd", &["go.etcd.io/etcd/server/v3"])?;

    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::rename(scratch.path().join("bin"), target)
        .with_context(|| format!("cannot move what was built to {}", target.display()))
}

fn go(dir: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(dir)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH");
    command
}

/// Where go may fetch a newer toolchain by itself, it answers with that one's version here.
fn ensure_go(dir: &Path) -> Result<()> {
    let wanted = GO_MOD
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .context("control-plane/go.mod has no go line")?;
    let output = go(dir).args(["env", "GOVERSION"]).output().with_context(|| {
        format!("the local control plane is built with Go, and `go` cannot be started: install Go {wanted} or later, {INSTEAD}")
    })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("go").to_owned();
    ensure!(
        go_version(&found) >= go_version(wanted),
        "the local control plane needs Go {wanted} or later, and `go` is {}: install a newer one, {INSTEAD}",
        if found.is_empty() { "of an unknown version" } else { &found }
    );
    Ok(())
}

/// The first two numbers of a version, which decide; 0 where there is none.
fn go_version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(['.', '-', ' ']).map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn go_build(dir: &Path, what: &str, to: &str, packages: &[&str]) -> Result<()> {
    let log = dir.join("go.log");
    let mut command = go(dir);
    command.args(["build", "-trimpath", "-ldflags", &linker_flags()?, "-o", to]).args(packages);
    let mut progress = Progress::new(&format!(
        "building {what} from Go modules, once (three to six minutes on two cores in all)"
    ));
    progress.say();
    let mut build = process::spawn_logged(command, &log)?;
    loop {
        match build.try_wait()? {
            None => progress.tick(),
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("go could not build {what} ({status}); its last lines:\n{}", tail(&log)),
        }
        std::thread::sleep(POLL);
    }
}

fn linker_flags() -> Result<String> {
    let version = version_of("k8s.io/kubernetes")?;
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    Ok(VERSION_VARIABLES.iter().fold("-s -w".to_owned(), |flags, package| {
        flags
            + &format!(
                " -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
                 -X {package}.gitTreeState=clean"
            )
    }))
}

/// A line now and then, for whoever wonders what a test waits for.
struct Progress {
    what: String,
    begin: Instant,
    said: Instant,
}

impl Progress {
    fn new(what: &str) -> Self {
        Self { what: what.to_owned(), begin: Instant::now(), said: Instant::now() }
    }

    fn tick(&mut self) {
        if self.said.elapsed() >= BETWEEN_LINES {
            self.say();
        }
    }

    fn say(&mut self) {
        self.said = Instant::now();
        let _ = writeln!(
            std::io::stderr().lock(),
            "control plane: {}, {} s so far",
            self.what,
            self.begin.elapsed().as_secs()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_by_their_first_two_numbers() {
        for (older, newer) in [("1.9.7", "1.26.0"), ("1.25.8", "1.26rc1"), ("", "1.20"), ("devel", "1.0")] {
            assert!(go_version(older) < go_version(newer), "{older} {newer}");
        }
        assert_eq!(go_version("1.26.8"), go_version("1.26.0"));
    }
}
