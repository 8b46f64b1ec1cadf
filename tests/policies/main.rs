//! `deploy/policies` on a real API server: what each refuses, in which words, and what it leaves alone.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod connectors;
mod governed;
mod life;
mod production;
mod retry;
mod roles;
