//! The scenarios: one file and one line in `ALL` each.

mod allocations;
mod history;
mod idle;
mod instructions;
mod latency;
mod login_soak;
mod open;
mod outage;
mod per_object;
mod requests;
mod sharing;
mod slow_api;
mod slow_writes;
mod soak;
mod throughput;

use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::figure::Figures;
use crate::stage::Stage;
use crate::statistics::count;

/// All scenarios, in the order in which they run.
pub(crate) const ALL: [&Scenario; 14] = [
    &throughput::SCENARIO,
    &slow_api::SCENARIO,
    &slow_writes::SCENARIO,
    &requests::SCENARIO,
    &latency::SCENARIO,
    &instructions::SCENARIO,
    &allocations::SCENARIO,
    &history::SCENARIO,
    &open::SCENARIO,
    &outage::SCENARIO,
    &idle::SCENARIO,
    &sharing::SCENARIO,
    &soak::SCENARIO,
    &login_soak::SCENARIO,
];

/// The size of a scenario; what a scenario does not use is 0.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Size {
    /// The number of objects, of each kind where a scenario has both.
    pub(crate) objects: usize,
    /// The number of objects processed at the same time.
    pub(crate) concurrency: u16,
    pub(crate) minutes: f64,
}

/// One measured situation.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) size: Size,
    /// The size for `--smoke`, which only shows that the scenario works; `None` if the scenario cannot run in seconds.
    pub(crate) smoke: Option<Size>,
    /// Performs one run.
    pub(crate) run: for<'a> fn(&'a Stage, &'a Size) -> BoxFuture<'a, Result<Figures>>,
}

/// Returns the time limit for `objects`: ten times what a slow machine needs.
pub(crate) fn patience(objects: usize) -> Duration {
    Duration::from_mins(2) + Duration::from_millis(100).mul_f64(count(objects))
}
