//! The CDE client over real sockets, against the simulated API and against servers that are worse.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may end at what they did not expect")]

mod answers;
mod fixture;
mod requests;
mod secrets;
mod transport;
