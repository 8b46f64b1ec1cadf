//! What the operator tells, as those who watch it get it: figures that promtool accepts, rules that fire when they
//! should, a dashboard with data behind each query, logs without noise, and a runbook that leaves nothing out.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod alerts;
mod commands;
mod dashboard;
mod figures;
mod logs;
mod names;
mod prometheus;
mod repository;
mod runbook;
mod scene;
