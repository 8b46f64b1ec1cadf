//! The steps of the demo: start everything, log in, apply the samples, watch them, show the result with kubectl, wait
//! until the token has been refreshed, and check it all.

mod cluster;
pub(crate) mod environment;
pub(crate) mod keep;
mod ledger;
mod login;
mod refresh;
mod report;
mod sample;
mod summary;
pub(crate) mod terminal;
mod watch;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use cde_sandbox::recording::{PLAIN, Recording, Row};

use environment::Environment;
use terminal::heading;

/// The namespace of the samples.
const NAMESPACE: &str = "connectors";
/// Width of the recording in the README, which `cargo demo --svg docs/demo.svg` makes.
const COLUMNS: usize = 132;

/// Applies the samples, shows their progress and result, and returns whether all ended as their files say and the
/// refresh of the token disturbed none. Writes a recording to `svg`, if that is given.
pub(crate) async fn run(environment: &Environment, svg: Option<&Path>) -> Result<bool> {
    heading("Applying the samples");
    let control_plane = &environment.control_plane;
    let (begin, mut recording) = (Instant::now(), Recording::new("cargo demo", COLUMNS));
    let (objects, ()) = tokio::try_join!(
        watch::follow(control_plane, &mut recording),
        cluster::apply_samples(control_plane)
    )?;
    report::show(control_plane).await?;
    refresh::wait(environment).await?;
    refresh::retry(control_plane).await?;
    let ledger = environment.sandbox.ledger().await?;
    ledger::show(&ledger);
    let refreshes = refresh::Refreshes::read(environment, &ledger).await?;
    let table = refreshes.show();
    if let Some(file) = svg {
        let rows: Vec<Row> = table.iter().map(|line| Row::new(line, PLAIN)).collect();
        recording.append(begin.elapsed(), &rows);
        fs::write(file, recording.svg()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(summary::print(&objects, &ledger, &refreshes))
}
