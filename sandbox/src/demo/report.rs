//! What a person would look at, with the commands that show it.

use anyhow::Result;
use cde_sandbox::control_plane::ControlPlane;

use super::NAMESPACE;
use super::sample::LOST_ANSWER;
use super::screen::{heading, say};

/// Runs and prints them.
///
/// # Errors
/// If kubectl fails.
pub(crate) async fn show(control_plane: &ControlPlane) -> Result<()> {
    let looks: [(&str, &[&str]); 4] = [
        ("All requests", &["get", "cde", "-A"]),
        ("With their whole story", &["get", "cde", "-A", "-o", "wide"]),
        ("One of them: its answer was lost", &["describe", "mrb", LOST_ANSWER, "-n", NAMESPACE]),
        ("Events", &["get", "events", "-n", NAMESPACE]),
    ];
    for (title, command) in looks {
        heading(title);
        say(&format!("$ kubectl {}", command.join(" ")));
        say(control_plane.kubectl_ok(command, "").await?.trim_end());
    }
    Ok(())
}
