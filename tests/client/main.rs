//! The client of the CDE API over real sockets: against the simulated API, against servers that misbehave, and with input
//! of any shape.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod answers;
mod fixture;
mod hostile;
mod requests;
mod secrets;
mod transport;
