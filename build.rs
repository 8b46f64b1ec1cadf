//! Sets `CDE_OPERATOR_VERSION`, which `--version` prints: the package's version, and in a build that is not a release, the
//! commit as build metadata of semver.

use std::env;
use std::process::Command;

fn main() {
    let package = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo::rustc-env=CDE_OPERATOR_VERSION={package}{}", metadata(&package));
}

/// Returns the build metadata for `package`, with its `+`; nothing in a release, and where there is no Git repository.
fn metadata(package: &str) -> String {
    // Debug builds would be compiled again after each commit.
    if env::var("PROFILE").as_deref() == Ok("debug") {
        println!("cargo::rerun-if-changed=build.rs");
        return "+debug".to_owned();
    }
    // Git writes these when a commit is checked out or made, and when a tag is set.
    for file in ["logs/HEAD", "refs/tags", "packed-refs"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let is_released = || {
        let tags = git(&["tag", "--points-at", "HEAD"]).unwrap_or_default();
        tags.lines().any(|tag| tag.strip_prefix('v') == Some(package))
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) if !is_released() => format!("+g{commit}"),
        _ => String::new(),
    }
}

/// Returns what Git prints, if it succeeds.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
