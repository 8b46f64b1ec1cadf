//! Files that are generated from the source, or checked against it: CRDs, `docs/reference.md`, `docs/reliability.md`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test ends where something is missing, and its name is its documentation"
)]

mod crds;
mod reference;
mod reliability;
