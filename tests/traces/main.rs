//! Traces: what a collector gets of the operator's own program, which works on a real API server and calls the CDE
//! API over real sockets.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod attempts;
mod collector;
mod configuration;
mod outage;
mod secrets;
mod span;
mod whole;
