//! Whether the API server keeps every field of a status. No request is claimed before it does.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The state of the served CRDs.
#[derive(Debug, Default)]
pub struct CrdState {
    good: AtomicBool,
    changed: Notify,
}

impl CrdState {
    /// Whether the CRDs are complete.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.good.load(Ordering::SeqCst)
    }

    /// Notes that a write lost a field. The CRDs are read again before the next claim.
    pub fn invalidate(&self) {
        self.good.store(false, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Notes that the CRDs are complete.
    pub fn confirm(&self) {
        self.good.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until the CRDs are complete.
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
