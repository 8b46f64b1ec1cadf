//! Tests of the sandbox of the CDE API over its sockets, with a client that shares no code with it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests panic on unexpected results")]

mod answers;
mod client;
mod control;
mod faults;
mod holds;
mod shapes;
