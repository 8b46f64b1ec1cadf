//! The sandbox of the CDE API, seen over its sockets by a client that shares no code with it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod answers;
mod client;
mod control;
mod faults;
mod holds;
mod shapes;
