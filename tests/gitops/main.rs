//! What happens to requests under the real controllers of `GitOps`: Flux, Argo CD, Helm 4 and the controllers of Kubernetes,
//! on a local control plane, with Git repositories over HTTP.
//!
//! `cargo gitops` runs these tests, and `cargo gitops flux::` those of one tool. The first run builds the tools for up to
//! an hour. `cargo test` leaves them out.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod argocd;
mod argocd_cm;
mod controller;
mod flux;
mod git;
mod helm;
mod kubernetes;
mod monitoring;
mod policies;
