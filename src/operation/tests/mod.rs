//! The rules as tables and stories: values in, values out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may end at what they did not expect")]

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
