//! What a user's auditor checks: least privilege, the destination of the token, and the TLS servers that are trusted.
//!
//! Elsewhere: the permissions as the authorizer sees them (`tests/deployment/deploy/permissions.rs`), the list of
//! flags and the rejection of plain HTTP (`tests/e2e/faults/configuration.rs`), redirects that are not followed
//! (`tests/client/answers.rs`, `tests/e2e/faults/cde.rs`), secrets that never show (`tests/e2e/faults/secrets.rs`),
//! and objects that cannot choose a path (`tests/client/hostile/stored.rs`).

mod certificates;
mod destination;
mod no_proxy;
mod permissions;
mod tunnel;
