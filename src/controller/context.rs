//! Shared state of reconciliations.

use std::sync::Arc;

use kube::Client;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cde;
use crate::credential::Credential;
use crate::operation::Settings;
use crate::runtime::crd_state::CrdState;
use crate::runtime::events::Events;
use crate::runtime::rate_limit::RateLimit;
use crate::runtime::watches::Watches;

use super::cache::Cache;
use super::circuit_breaker::CircuitBreaker;
use super::connector_queue::ConnectorQueue;
use super::kind::Kind;
use super::metrics::Metrics;

/// State that all reconciliations share.
pub struct Context {
    /// Client of the API server, for short requests, without retries.
    pub client: Client,
    /// Client of the CDE API.
    pub cde: cde::Client,
    /// The token for the CDE API.
    pub credential: Arc<Credential>,
    /// The configuration of the rules.
    pub settings: Settings,
    /// `inFlight.holder` of this process.
    pub holder: String,
    /// The connector queue.
    pub queue: ConnectorQueue,
    /// The circuit breaker.
    pub breaker: CircuitBreaker,
    /// The limit of calls per second.
    pub rate: RateLimit,
    /// Metrics.
    pub metrics: Metrics,
    /// Events, published in the background.
    pub events: Events,
    /// Whether the installed CRDs are complete.
    pub crds: Arc<CrdState>,
    /// The limit of concurrent reconciliations.
    pub workers: Workers,
    /// Records that are written in the background.
    pub recorders: TaskTracker,
    /// The state of the watches.
    pub watches: Watches,
    /// Cancelled at shutdown: begin nothing, and finish what is in progress.
    pub stop: CancellationToken,
}

/// State that the reconciliations of one watch share.
pub(super) struct Scope<K: Kind> {
    pub(super) context: Arc<Context>,
    pub(super) cache: Arc<Cache<K>>,
    pub(super) watch: usize,
}

/// Limits the concurrent reconciliations of all watches.
#[derive(Debug)]
pub struct Workers {
    limit: u16,
    idle: Semaphore,
}

impl Workers {
    /// Returns this many idle workers.
    #[must_use]
    pub fn new(limit: u16) -> Self {
        Self { limit, idle: Semaphore::new(usize::from(limit)) }
    }

    /// Returns the number of workers.
    #[must_use]
    pub const fn limit(&self) -> u16 {
        self.limit
    }

    /// Returns the number of busy workers.
    #[must_use]
    pub fn busy(&self) -> usize {
        usize::from(self.limit).saturating_sub(self.idle.available_permits())
    }

    pub(super) async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.idle.acquire().await
    }

    /// Waits until all are idle at the same time.
    pub async fn all_idle(&self) {
        let _ = self.idle.acquire_many(u32::from(self.limit)).await;
    }
}
