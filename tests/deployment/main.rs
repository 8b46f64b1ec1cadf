//! What a platform team installs from `deploy/` and how it operates the result: manifests, the Helm chart, `GitOps`,
//! policies, monitoring and upgrades, tested with the real tools.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod deploy;
mod gitops;
mod monitoring;
mod policies;
mod tools;
mod upgrade;
