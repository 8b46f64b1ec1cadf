//! The programs of this workspace, built by the cargo that runs the caller.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process;

const LIMIT: Duration = Duration::from_hours(1);

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As the tests do.
    Dev,
    /// As for a release. The package has the name of the program.
    Release,
}

/// The root of the repository.
#[must_use]
pub fn workspace() -> &'static Path {
    let sandbox = Path::new(env!("CARGO_MANIFEST_DIR"));
    sandbox.parent().unwrap_or(sandbox)
}

/// One line of cargo's machine-readable output.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

/// Builds a program of this workspace and returns its path. Cargo's progress goes to standard error.
///
/// # Errors
/// If cargo cannot be started, or cannot build the program. Cargo has then printed why.
pub async fn build(name: &str, profile: Profile, scratch: &Path) -> Result<PathBuf> {
    let arguments: &[&str] = match profile {
        // With the features of `cargo test --workspace`, which has then built the program. `--examples` adds those of the
        // dependencies that only tests have. There are no examples.
        Profile::Dev => &["--workspace", "--examples"],
        Profile::Release => &["--package", name, "--release"],
    };
    build_in(workspace(), name, arguments, scratch).await
}

/// As [`build`], in the workspace of this directory, with these arguments for cargo.
///
/// # Errors
/// As [`build`].
pub async fn build_in(workspace: &Path, name: &str, arguments: &[&str], scratch: &Path) -> Result<PathBuf> {
    let answer = scratch.join(format!("{name}.build"));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace)
        .args(["build", "--bin", name, "--message-format=json-render-diagnostics"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(&answer)?);
    // `cargo run` and `cargo test` describe this program in these variables. They would be wrong for the one that is built
    // here, and ring would be compiled again, because its build script reads them.
    for (variable, _) in env::vars_os() {
        let text = variable.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "OUT_DIR" {
            cargo.env_remove(&variable);
        }
    }
    let status = process::spawn(cargo)?.wait(LIMIT).await?;
    ensure!(status.success(), "cannot build {name}; cargo's output above says why");
    executable(&fs::read_to_string(&answer)?)
        .with_context(|| format!("cargo does not report the path of {name}"))
}

/// Only a message about an executable has a path.
fn executable(answer: &str) -> Option<PathBuf> {
    answer
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_program_is_found_in_the_output_of_cargo() {
        let answer = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/target/debug/it"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(answer), Some(PathBuf::from("/target/debug/it")));
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
