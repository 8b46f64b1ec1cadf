//! What the tools of `GitOps` make of requests: Argo CD's scripts under Lua, kstatus' own libraries, and what replacing,
//! pruning, backups and rebuilt clusters come to; all on statuses that the operator itself wrote.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod actions;
mod argocd_cm;
mod examples;
mod health;
mod kept;
mod kstatus;
mod lua;
mod scene;
mod tenant;
mod trials;
