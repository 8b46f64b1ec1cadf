//! `deploy/` on a real API server: what is installed, who may do what, and the samples.

mod chart;
pub(crate) mod fixture;
mod install;
mod monitoring;
mod overlays;
mod permissions;
mod samples;
