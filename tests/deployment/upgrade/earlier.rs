//! The operator of an earlier commit: its program, built once into the user's cache from the source in `earlier/`, and
//! its CRDs and permissions.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cde_sandbox::process::{self, output};
use cde_sandbox::program;

/// The first commit with the API names of the release. Nothing older was used.
pub(crate) const COMMIT: &str = "3bbf81c410b4694b2e5436fa148b6731bb61e897";
/// The archived parts: the source of the program, and what is applied to a cluster.
pub(crate) const PARTS: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "crds",
    "deploy/rbac",
    "sandbox/Cargo.toml",
    "bench/Cargo.toml",
    "tests/harness/Cargo.toml",
];
/// Members of its workspace of which only the manifest is archived, because its lock file needs them.
const MANIFESTS: [&str; 3] = ["sandbox", "bench", "tests/harness"];
pub(crate) const ARCHIVE: &[u8] = include_bytes!("earlier/source.tar.gz");
/// SHA-256 of the archive.
pub(crate) const CHECKSUM: &str = "849ad07a99d5eff6f98279042eb5ec62886fd8a73d5c652093e75410a2d6f92c";

const NAME: &str = "cde-operator";

/// The directory with the program and the source that it was built from.
#[derive(Clone, Debug)]
pub(crate) struct Earlier(PathBuf);

impl Earlier {
    /// Returns it from the user's cache, or builds it. cargo reports its progress on standard error.
    pub(crate) async fn find_or_build() -> Result<Self> {
        find_or_build(&cache()?).await
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.0.join(NAME)
    }

    /// Returns a file or directory of its source.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.0.join("source").join(part)
    }
}

fn cache() -> Result<PathBuf> {
    let var = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
    Ok(caches.context("neither XDG_CACHE_HOME nor HOME is set")?.join("cde-operator/earlier"))
}

/// If several processes need it, one builds it and the others wait.
async fn find_or_build(cache: &Path) -> Result<Earlier> {
    let earlier = Earlier(cache.join(&CHECKSUM[..16]));
    if earlier.program().is_file() {
        return Ok(earlier);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let _lock = lock(cache).await?;
    if !earlier.program().is_file() {
        build(cache, &earlier.0).await?;
    }
    Ok(earlier)
}

/// Locks the cache until the returned file is dropped or the process ends.
async fn lock(cache: &Path) -> Result<File> {
    let file = File::create(cache.join("lock"))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        say("waiting for another process that builds it");
    }
    Ok(tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await??)
}

/// Builds in a scratch directory in `cache`, and renames the result to `target`.
async fn build(cache: &Path, target: &Path) -> Result<()> {
    let scratch = process::scratch_dir_in(cache)?;
    let kept = scratch.path().join("kept");
    let source = kept.join("source");
    unpack(&source).await?;
    say("building it from its source, once (a minute or two on two cores)");
    let target_dir = scratch.path().join("target");
    let target_dir = target_dir.to_str().context("the cache's path is not text")?;
    let build_dir = format!("build.build-dir='{}'", build_dir()?.display());
    let more = ["--package", NAME, "--locked", "--config", &build_dir, "--target-dir", target_dir];
    let program = program::build_in(&source, NAME, &more, scratch.path()).await?;
    fs::rename(program, kept.join(NAME))?;
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::rename(&kept, target).with_context(|| format!("cannot move it to {}", target.display()))
}

/// Returns where cargo built this test program, so that shared dependencies are not built again. The earlier operator
/// itself is built to another path than the present one.
fn build_dir() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let build_dir =
        program.ancestors().nth(3).context("cargo puts test programs into BUILD_DIR/PROFILE/deps")?;
    Ok(build_dir.to_owned())
}

/// Unpacks the archive.
pub(crate) async fn unpack(source: &Path) -> Result<()> {
    for member in MANIFESTS {
        let empty = source.join(member).join("src");
        fs::create_dir_all(&empty)?;
        fs::write(empty.join("lib.rs"), "")?;
        fs::write(empty.join("main.rs"), "fn main() {}\n")?;
    }
    let mut tar = Command::new("tar");
    tar.args(["-xz", "-f", "-", "-C"]).arg(source);
    let done = output(tar, ARCHIVE).await?;
    ensure!(done.status.success(), "tar: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// Prints to the real standard error, because the test harness captures only the output of macros.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "earlier operator ({}): {what}", &COMMIT[..7]);
}
