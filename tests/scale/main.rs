//! What the operator survives with very many objects: an outage, and a restart in the middle of the work.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test ends where something is missing, its name is its documentation, and it tells its figures"
)]

mod crowd;
mod figures;
mod outage;
mod restart;
