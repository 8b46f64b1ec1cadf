//! Whether the API server keeps what this operator writes: nothing is claimed before it does.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the served CRDs keep every field of a status.
#[derive(Debug, Default)]
pub struct CrdState {
    good: AtomicBool,
    changed: Notify,
}

impl CrdState {
    /// Whether claims may be made.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.good.load(Ordering::SeqCst)
    }

    /// A write lost a field: the CRDs are read again before the next claim.
    pub fn invalidate(&self) {
        self.good.store(false, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// The CRDs are new enough.
    pub fn confirm(&self) {
        self.good.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until the CRDs are new enough.
    pub async fn good(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_good() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until a write has lost a field.
    pub async fn invalid(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.is_good() {
                return;
            }
            changed.await;
        }
    }
}
