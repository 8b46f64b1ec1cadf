//! The operator's program with many objects and many faults at once. These tests keep the machine busy, so they are a
//! separate program that does not disturb the others.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    reason = "tests panic on unexpected results, their names document them, and they print measurements"
)]

mod random;
mod scale;
