//! The steps of the demo: start everything, apply the samples, watch them, show the result with kubectl, and check it.

mod cluster;
pub(crate) mod environment;
pub(crate) mod keep;
mod ledger;
mod recording;
mod report;
mod sample;
mod summary;
pub(crate) mod terminal;
mod watch;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use environment::Environment;
use recording::Recording;
use terminal::heading;

/// The namespace of the samples.
const NAMESPACE: &str = "connectors";

/// Applies the samples, shows their progress and result, and returns whether all ended as their files say.
/// Writes a recording to `svg`, if that is given.
pub(crate) async fn run(environment: &Environment, svg: Option<&Path>) -> Result<bool> {
    heading("Applying the samples");
    let control_plane = &environment.control_plane;
    let mut recording = Recording::default();
    let (objects, ()) = tokio::try_join!(
        watch::follow(control_plane, &mut recording),
        cluster::apply_samples(control_plane)
    )?;
    if let Some(file) = svg {
        fs::write(file, recording.svg()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    report::show(control_plane).await?;
    let ledger = environment.sandbox.ledger().await?;
    ledger::show(&ledger);
    Ok(summary::print(&objects, &ledger))
}
