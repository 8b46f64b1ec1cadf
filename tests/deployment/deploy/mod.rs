//! `deploy/` as a real API server takes it: what is installed, who may do what, and the samples.

mod chart;
mod fixture;
mod install;
mod monitoring;
mod overlays;
mod rights;
mod samples;
