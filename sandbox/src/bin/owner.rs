//! Owns a process and a directory, or a control plane, until a test of this crate kills it and checks that nothing is
//! left.
//!
//! Prints two lines: the IDs of its processes, and its directory.

use std::io::Write as _;
use std::process::Command;

use anyhow::{Result, bail};
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::process;

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("child") => {
            let scratch = process::scratch_dir()?;
            std::fs::write(scratch.path().join("file"), "content")?;
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 600 & wait"]);
            let child = process::spawn(command)?;
            report(&[child.id()], scratch.path())?;
            std::future::pending().await
        }
        Some("control-plane") => {
            let control_plane = ControlPlane::start().await?;
            report(&control_plane.process_ids(), control_plane.dir())?;
            std::future::pending().await
        }
        _ => bail!("expected an argument: child or control-plane"),
    }
}

fn report(ids: &[u32], directory: &std::path::Path) -> Result<()> {
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}", ids.join(" "), directory.display())?;
    Ok(out.flush()?)
}
