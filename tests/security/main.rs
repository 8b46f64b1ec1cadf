//! What a user's auditor checks: least rights, where the token goes, what TLS is believed.
//!
//! Elsewhere: rights as the authorizer says them (`tests/deploy/rights.rs`), the flags that there are and plain HTTP
//! refused (`tests/faults/configuration.rs`), redirects not followed (`tests/client/answers.rs`, `tests/faults/cde.rs`),
//! secrets that never show (`tests/faults/secrets.rs`), objects that choose no path (`tests/hostile/stored.rs`).

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod certificates;
mod destination;
mod rights;
mod tunnel;
