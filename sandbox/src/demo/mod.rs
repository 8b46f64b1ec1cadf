//! The demo in its steps: set the stage, apply the samples, watch them, show what a person would look at, judge.

mod cluster;
pub(crate) mod keep;
mod ledger;
mod recording;
mod report;
mod sample;
pub(crate) mod screen;
pub(crate) mod stage;
mod verdict;
mod watch;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use recording::Recording;
use screen::heading;
use stage::Stage;

/// Where the samples go.
const NAMESPACE: &str = "connectors";

/// Applies the samples, shows how they move and where they end, and says whether all keep their promise.
/// Writes a recording of it to `svg`, if that is given.
pub(crate) async fn play(stage: &Stage, svg: Option<&Path>) -> Result<bool> {
    heading("The samples");
    let control_plane = &stage.control_plane;
    let mut recording = Recording::default();
    let (objects, ()) = tokio::try_join!(
        watch::follow(control_plane, &mut recording),
        cluster::apply_samples(control_plane)
    )?;
    if let Some(file) = svg {
        fs::write(file, recording.svg()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    report::show(control_plane).await?;
    let ledger = stage.sandbox.ledger().await?;
    ledger::show(&ledger);
    Ok(verdict::judge(&objects, &ledger))
}
