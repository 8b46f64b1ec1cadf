//! Files that are generated from the source, or checked against it: CRDs, the chart, `docs/reference.md`,
//! `docs/reliability.md`, protocol mutations.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod chart;
mod crds;
mod faults;
mod links;
mod names;
mod protocol_mutations;
mod reference;
mod reliability;
