//! The build, by the go command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Module, Program};
use crate::{cache, process};

/// Builds all programs in `scratch` and returns the directory below it that has them.
pub(super) fn build(module: &Module, scratch: &Path) -> Result<PathBuf> {
    write_module(module, scratch)?;
    if let Some(main) = module.main {
        fs::write(scratch.join("main.go"), main)?;
    }
    let programs = scratch.join("bin");
    fs::create_dir(&programs)?;
    ensure_go(module, scratch)?;
    let linker = linker_flags(module)?;
    for program in module.programs {
        go_build(module, scratch, &linker, program)?;
    }
    Ok(programs)
}

/// Returns where go keeps the source of `dependency`, which it fetches where missing.
pub(super) fn source_dir(module: &Module, dependency: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Download {
        #[serde(rename = "Dir")]
        dir: PathBuf,
    }
    let scratch = process::scratch_dir()?;
    write_module(module, scratch.path())?;
    ensure_go(module, scratch.path())?;
    let output = go(module, scratch.path()).args(["mod", "download", "-json", dependency]).output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "go cannot fetch the source of {dependency}: {}", said());
    let download: Download = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("go does not say where the source of {dependency} is: {}", said()))?;
    Ok(download.dir)
}

fn write_module(module: &Module, dir: &Path) -> Result<()> {
    fs::write(dir.join("go.mod"), module.go_mod)?;
    fs::write(dir.join("go.sum"), module.go_sum)?;
    Ok(())
}

/// A go command in `dir`, with the toolchain that go.mod names, which go may fetch like any other module.
fn go(module: &Module, dir: &Path) -> Command {
    let mut command = Command::new("go");
    if let Some(toolchain) = module.go_mod.lines().find_map(|line| line.strip_prefix("toolchain ")) {
        command.env("GOTOOLCHAIN", format!("{toolchain}+auto"));
    }
    command
        .current_dir(dir)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH");
    command
}

/// Where go may download a newer toolchain by itself, it prints the version of that toolchain here.
fn ensure_go(module: &Module, dir: &Path) -> Result<()> {
    let (name, instead) = (module.name, module.instead);
    let wanted = module
        .go_mod
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .with_context(|| format!("go.mod of {name} has no go line"))?;
    let output = go(module, dir).args(["env", "GOVERSION"]).output().with_context(|| {
        format!(
            "{name} is built with Go, and `go` cannot be started: install Go {wanted} or later, {instead}"
        )
    })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("go").to_owned();
    ensure!(
        go_version(&found) >= go_version(wanted),
        "{name} needs Go {wanted} or later, and `go` is {}: install a newer one, {instead}",
        if found.is_empty() { "of an unknown version" } else { &found }
    );
    Ok(())
}

/// Returns the first two numbers of a version, which are enough to compare; 0 where there is none.
fn go_version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(['.', '-', ' ']).map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn go_build(module: &Module, dir: &Path, linker: &str, program: &Program) -> Result<()> {
    let to = format!("bin/{}", program.name);
    let mut command = go(module, dir);
    command.args([
        "build",
        "-trimpath",
        "-tags",
        module.tags,
        "-ldflags",
        linker,
        "-o",
        &to,
        program.package,
    ]);
    let what = format!("building {} from Go modules, once (minutes on two cores)", program.name);
    cache::run(module.name, &what, command, &dir.join("go.log"))
}

fn linker_flags(module: &Module) -> Result<String> {
    let mut flags = "-s -w".to_owned();
    for version in module.versions {
        let text = module.version_of(version.module)?;
        let mut numbers = text.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        for variable in version.variables {
            let set = variable.replace("{version}", text).replace("{major}", major).replace("{minor}", minor);
            flags.push_str(" -X ");
            flags.push_str(&set);
        }
    }
    Ok(flags)
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
