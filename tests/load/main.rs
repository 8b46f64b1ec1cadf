//! The operator's program with many objects and many faults at once. These tests keep the machine busy and are a program
//! of their own so that they do not disturb others.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where something is missing, its name is its documentation, and it prints its measurements"
)]

mod random;
mod scale;
