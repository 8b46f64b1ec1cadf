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

use environment::Environment;
use terminal::heading;

/// The namespace of the samples.
const NAMESPACE: &str = "connectors";

/// Applies the samples, shows their progress and result, and returns whether all ended as their files say.
pub(crate) async fn run(environment: &Environment) -> Result<bool> {
    heading("Applying the samples");
    let control_plane = &environment.control_plane;
    let (objects, ()) =
        tokio::try_join!(watch::follow(control_plane), cluster::apply_samples(control_plane))?;
    report::show(control_plane).await?;
    let ledger = environment.sandbox.ledger().await?;
    ledger::show(&ledger);
    Ok(summary::print(&objects, &ledger))
}
