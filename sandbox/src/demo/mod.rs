//! The demo in its steps: set the stage, apply the samples, watch them, show what a person would look at, judge.

mod cluster;
pub(crate) mod keep;
mod ledger;
mod report;
mod sample;
pub(crate) mod screen;
pub(crate) mod stage;
mod verdict;
mod watch;

use anyhow::Result;

use screen::heading;
use stage::Stage;

/// Where the samples go.
const NAMESPACE: &str = "connectors";

/// Applies the samples, shows how they move and where they end, and says whether all keep their promise.
pub(crate) async fn play(stage: &Stage) -> Result<bool> {
    heading("The samples");
    let control_plane = &stage.control_plane;
    let (objects, ()) =
        tokio::try_join!(watch::follow(control_plane), cluster::apply_samples(control_plane))?;
    report::show(control_plane).await?;
    let ledger = stage.sandbox.ledger().await?;
    ledger::show(&ledger);
    Ok(verdict::judge(&objects, &ledger))
}
