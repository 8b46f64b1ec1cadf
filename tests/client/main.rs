//! The client of the CDE API over real sockets: with the simulated API, with servers that misbehave, and with input of
//! any shape.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod answers;
mod fixture;
mod hostile;
mod requests;
mod secrets;
mod transport;
