//! The scenarios: one file each, and one line here.

mod history;
mod idle;
mod latency;
mod open;
mod outage;
mod requests;
mod sharing;
mod slow_api;
mod soak;
mod throughput;

use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::figure::Figures;
use crate::stage::Stage;
use crate::statistics::count;

/// All of them, in the order in which they are played.
pub(crate) const ALL: [&Scenario; 10] = [
    &throughput::SCENARIO,
    &slow_api::SCENARIO,
    &requests::SCENARIO,
    &latency::SCENARIO,
    &history::SCENARIO,
    &open::SCENARIO,
    &outage::SCENARIO,
    &idle::SCENARIO,
    &sharing::SCENARIO,
    &soak::SCENARIO,
];

/// How much is played; what a scenario does not use is 0.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Size {
    /// Objects, of each kind where there are both.
    pub(crate) objects: usize,
    /// Objects worked on at the same time.
    pub(crate) concurrency: u16,
    pub(crate) minutes: f64,
}

/// Something that is measured.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) size: Size,
    /// So little that it only shows that the scenario works; none where that cannot be had in seconds.
    pub(crate) smoke: Option<Size>,
    /// One run.
    pub(crate) run: for<'a> fn(&'a Stage, &'a Size) -> BoxFuture<'a, Result<Figures>>,
}

/// How long so many objects may take at most: ten times what a slow machine needs.
pub(crate) fn patience(objects: usize) -> Duration {
    Duration::from_mins(2) + Duration::from_millis(100).mul_f64(count(objects))
}
