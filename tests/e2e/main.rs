//! The operator's program with the permissions of the manifests, a real API server, and the CDE API over real sockets.
//! The tests check what a user, an auditor and the CDE API see.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod check;
mod faults;
mod login;
mod operator;
mod security;
mod traces;
