//! Leadership: one of several replicas works, the others wait for its Lease.
//!
//! The Lease spares work; safety does not rest on it. It is taken by server-side apply, whose conflict keeps two
//! from holding it (kube-lease-manager). Losing it ends the process: what it has claimed is verified by the next
//! leader.

use std::time::{Duration, Instant};

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};

/// How long a Lease holds without being renewed, in seconds.
const DURATION: u64 = 15;
/// How long before its end it is renewed, in seconds.
const GRACE: u64 = 5;
/// Every request of the Lease's client ends by then; a renewal that fails twice is a Lease lost in time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two tries when the API server does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A Lease that may be held.
#[derive(Debug)]
pub struct Lease {
    manager: LeaseManager,
}

impl Lease {
    /// A Lease called `name` in `namespace`, made if it does not exist.
    ///
    /// # Errors
    /// When the Lease can be neither read nor made.
    pub async fn new(
        client: Client,
        namespace: &str,
        name: &str,
        holder: &str,
    ) -> Result<Self, LeaseManagerError> {
        let manager = LeaseManagerBuilder::new(client, name)
            .with_namespace(namespace)
            .with_identity(holder)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await?;
        Ok(Self { manager })
    }

    /// Waits until the Lease is held.
    pub async fn held(&self) {
        loop {
            match self.manager.changed().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the Lease cannot be taken; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Keeps the Lease; ends when it is lost, or may be because it could not be renewed in time.
    pub async fn lost(&self) {
        let mut failing_since: Option<Instant> = None;
        loop {
            let begun = Instant::now();
            match self.manager.changed().await {
                Ok(true) => failing_since = None,
                Ok(false) => return,
                Err(error) => {
                    // It has worked for longer than a request may take: a renewal went well in between.
                    if begun.elapsed() > REQUEST_TIMEOUT * 2 {
                        failing_since = None;
                    }
                    tracing::warn!(%error, "the Lease could not be renewed");
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() + REQUEST_TIMEOUT >= Duration::from_secs(GRACE) {
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn release(&self) {
        if let Err(error) = self.manager.release().await {
            tracing::warn!(%error, "the Lease could not be given back; it ends by itself");
        }
    }
}
