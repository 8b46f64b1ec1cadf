//! The controllers: they connect the pure core to the API server, the CDE API and the clock.
//!
//! ```text
//!   watch ──▶ cache, connector_queue ──▶ reconcile:  observe → decide → claim → act → record
//!                                                       │                 │      │      │
//!                                                       ▼                 ▼      ▼      ▼
//!                                                    CDE API         API server CDE  API server
//! ```
//!
//! - `reconcile` calls the steps `observe`, `claim`, `act` and `record`. Only a stored claim allows `act`.
//! - `permits`: the guards of an attempt: a rate permit, a permit of the [`CircuitBreaker`] and the turn in the
//!   [`ConnectorQueue`].
//! - `cache`: the objects of one watch, each with the `memory` of this process about it.
//! - `watch`: feeds cache, queue and controller.
//! - `status_api`: all status writes.

mod act;
mod cache;
mod circuit_breaker;
mod claim;
mod connector_queue;
mod context;
mod error;
mod events;
mod kind;
mod memory;
mod metrics;
mod observe;
mod permits;
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
pub use status_api::API_SERVER_TIMEOUT;
pub use watch::run;
