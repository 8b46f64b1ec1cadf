//! `deploy/` on a real API server: what is installed, who may do what, and the samples.

mod chart;
mod components;
pub(crate) mod fixture;
mod install;
mod others;
mod permissions;
mod restricted;
mod samples;
mod schemas;
