//! An incident as a person handles it: the plugin's program, a real API server, a running operator and a simulated CDE.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod batch;
mod change;
mod completion;
mod confirm;
mod create;
mod describe;
mod documented;
mod fixture;
mod krew;
mod managed;
mod preview;
mod recorded;
mod status;
mod terminal;
mod wait;
mod watch;
