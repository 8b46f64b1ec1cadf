//! Tests of the pure core, as tables and stories.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod circuit_breaker;
mod claims;
mod conditions;
mod confirms;
mod events;
mod finality;
mod fixtures;
mod limits;
mod order;
mod pinning;
mod preconditions;
mod previews;
mod purity;
mod quiet;
mod refusals;
mod restores;
mod retries;
mod verification;
mod waits;
