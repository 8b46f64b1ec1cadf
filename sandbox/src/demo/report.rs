//! Shows the result with the kubectl commands that a user would run.

use anyhow::Result;
use cde_sandbox::control_plane::ControlPlane;

use super::NAMESPACE;
use super::sample::LOST_ANSWER;
use super::terminal::{heading, say};

/// Runs the commands and prints them with their output.
///
/// # Errors
/// If kubectl fails.
pub(crate) async fn show(control_plane: &ControlPlane) -> Result<()> {
    let commands: [(&str, &[&str]); 4] = [
        ("All requests", &["get", "cde", "-A"]),
        ("All requests, with every column", &["get", "cde", "-A", "-o", "wide"]),
        ("One request whose response was lost", &["describe", "mrb", LOST_ANSWER, "-n", NAMESPACE]),
        ("Events", &["get", "events", "-n", NAMESPACE]),
    ];
    for (title, command) in commands {
        heading(title);
        say(&format!("$ kubectl {}", command.join(" ")));
        say(control_plane.kubectl_ok(command, "").await?.trim_end());
    }
    Ok(())
}
