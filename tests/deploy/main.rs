//! `deploy/` as a real API server takes it: what is installed, who may do what, and the samples.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

mod chart;
mod fixture;
mod install;
mod monitoring;
mod overlays;
mod rights;
mod samples;
