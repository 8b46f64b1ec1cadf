//! What a user's auditor checks: least rights, where the token goes, what TLS is believed.
//!
//! Elsewhere: rights as the authorizer says them (`tests/deployment/deploy/rights.rs`), the flags that there are and plain HTTP
//! refused (`tests/e2e/faults/configuration.rs`), redirects not followed (`tests/client/answers.rs`, `tests/e2e/faults/cde.rs`),
//! secrets that never show (`tests/e2e/faults/secrets.rs`), objects that choose no path (`tests/client/hostile/stored.rs`).

mod certificates;
mod destination;
mod rights;
mod tunnel;
