//! The shell: it sees the API server, the CDE API and the clock, and does one thing at a time.
//!
//! ```text
//!   watch ──▶ cache, connector_queue ──▶ reconcile:  observe → decide → claim → act → record
//!                                                       │                 │      │      │
//!                                                       ▼                 ▼      ▼      ▼
//!                                                    CDE API         API server CDE  API server
//! ```
//!
//! - `reconcile`: the table of contents; it calls the steps, and nothing else.
//! - `observe`, `claim`, `act`, `record`: one step each. Only a stored claim hands out the right to act.
//! - `permits`: what an attempt needs before its connector is read, as guards: a rate permit, a permit of the
//!   [`CircuitBreaker`], and the turn in the [`ConnectorQueue`].
//! - `cache`: the objects of one watch, each with what this process remembers about it (`memory`).
//! - `watch`: from the API server to cache, queue and controller.
//! - `status_api`: the funnel for status writes.

mod act;
mod cache;
mod circuit_breaker;
mod claim;
mod connector_queue;
mod context;
mod error;
mod events;
mod guarded;
mod kind;
mod memory;
mod metrics;
mod observe;
mod permits;
mod rate_limit;
mod reconcile;
mod record;
mod status_api;
mod trace;
mod watch;

pub use circuit_breaker::{Change, CircuitBreaker};
pub use connector_queue::ConnectorQueue;
pub use context::{Context, Workers};
pub use kind::{Key, Kind};
pub use metrics::Metrics;
pub use rate_limit::RateLimit;
pub use status_api::API_SERVER_TIMEOUT;
pub use watch::{WATCH_TIMEOUT, run};
