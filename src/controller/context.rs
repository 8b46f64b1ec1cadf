//! What all reconciliations share, and what those of one watch share.

use std::sync::Arc;

use kube::Client;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cde::{self, TokenFile};
use crate::operation::Settings;
use crate::runtime::crd_state::CrdState;
use crate::runtime::events::Events;
use crate::runtime::watches::Watches;

use super::cache::Cache;
use super::circuit_breaker::CircuitBreaker;
use super::connector_queue::ConnectorQueue;
use super::kind::Kind;
use super::metrics::Metrics;
use super::rate_limit::RateLimit;

/// What all reconciliations of all kinds share.
pub struct Context {
    /// For requests to the API server that end soon; its own retries are off.
    pub client: Client,
    /// The CDE API.
    pub cde: cde::Client,
    /// The bearer token.
    pub tokens: Arc<TokenFile>,
    /// The part of the configuration that the rules need.
    pub settings: Settings,
    /// `inFlight.holder` of this process.
    pub holder: String,
    /// One request at a time per connector.
    pub queue: ConnectorQueue,
    /// Whether calls go out at all.
    pub breaker: CircuitBreaker,
    /// Calls per second.
    pub rate: RateLimit,
    /// Metrics.
    pub metrics: Metrics,
    /// Events, off the critical path.
    pub events: Events,
    /// Whether the API server keeps what this operator writes.
    pub crds: Arc<CrdState>,
    /// Objects worked on at the same time.
    pub workers: Workers,
    /// Records that are written in the background until they are stored.
    pub recorders: TaskTracker,
    /// Which watches work.
    pub watches: Watches,
    /// Cancelled, it is the order to take nothing new, and to finish what is in progress.
    pub stop: CancellationToken,
}

/// What the reconciliations of one watch share.
pub(super) struct Scope<K: Kind> {
    pub(super) context: Arc<Context>,
    pub(super) cache: Arc<Cache<K>>,
    /// The number of the watch.
    pub(super) watch: usize,
}

/// How many objects are worked on at the same time, in all watches together.
#[derive(Debug)]
pub struct Workers {
    limit: u16,
    idle: Semaphore,
}

impl Workers {
    /// So many.
    #[must_use]
    pub fn new(limit: u16) -> Self {
        Self { limit, idle: Semaphore::new(usize::from(limit)) }
    }

    /// How many there are.
    #[must_use]
    pub const fn limit(&self) -> u16 {
        self.limit
    }

    /// How many are at work.
    #[must_use]
    pub fn busy(&self) -> usize {
        usize::from(self.limit).saturating_sub(self.idle.available_permits())
    }

    /// Waits until one is free; dropped, the permit frees it again.
    pub(super) async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.idle.acquire().await
    }

    /// Waits until all are idle at the same time.
    pub async fn all_idle(&self) {
        let _ = self.idle.acquire_many(u32::from(self.limit)).await;
    }
}
