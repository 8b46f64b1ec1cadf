//! The shell around the rules: it sees the API server, the CDE API and the clock, and does one thing at a time.
//!
//! ```text
//!   watch ──▶ cache, roster ──▶ reconcile:  observe → decide → claim → act → record
//!                                              │                  │      │       │
//!                                              ▼                  ▼      ▼       ▼
//!                                           CDE API          API server CDE   API server
//! ```
//!
//! - `reconcile`: the table of contents; one pass over one object.
//! - `observe`, `claim`, `act`, `record`: one step each. Only an accepted claim hands out the right to act.
//! - `trace`: what a request looks like in a trace.
//! - `status_write`: the funnel for writes; generation, conditions and Events come from the core.
//! - [`Roster`]: what is open, whose turn it is, since when it waits; wakes who waits.
//! - [`Gate`]: whether calls go out at all: pauses, outages, a refused token.
//! - `watch`: from the API server to the queue; `intake`: what it tells goes to the cache and the roster; `packed`: an
//!   object as it is cached; `context`: what is newer than the cache.

mod act;
mod claim;
mod context;
mod crd_check;
mod events;
mod gate;
mod intake;
mod metrics;
mod observe;
mod packed;
mod pass;
mod rate;
mod reconcile;
mod record;
mod roster;
mod status_write;
mod trace;
mod watch;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, Semaphore, watch as channel};

use crate::cde::{self, TokenFile};
use crate::operation::{Operation, Settings};

pub use crd_check::{CrdState, lacks, watch_crds};
pub use events::{DRAIN, Event, Events};
pub use gate::Gate;
pub use metrics::Metrics;
pub use pass::Interrupted;
pub use rate::Rate;
pub use roster::{Key, Roster};
pub use watch::{STUCK, Scope, WATCH_TIMEOUT, run};

/// Every call to the API server ends by then.
pub const API_SERVER_TIMEOUT: Duration = Duration::from_secs(30);

/// A kind that this room can handle: an operation that is a namespaced custom resource.
pub trait Managed:
    Operation<Result: Serialize + DeserializeOwned + Send + Sync + 'static>
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<T> Managed for T where
    T: Operation<Result: Serialize + DeserializeOwned + Send + Sync + 'static>
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// What all passes over all kinds share.
pub struct Shared {
    /// For requests that end soon; its own retries are off.
    pub client: Client,
    /// The CDE API.
    pub cde: cde::Client,
    /// The bearer token.
    pub tokens: Arc<TokenFile>,
    /// The configuration, as far as the rules see it.
    pub settings: Settings,
    /// `inFlight.holder` of this process.
    pub me: String,
    /// What is open.
    pub roster: Roster,
    /// Whether calls go out.
    pub gate: Gate,
    /// How many a second.
    pub rate: Rate,
    /// Figures.
    pub metrics: Metrics,
    /// Events, off the critical path.
    pub events: Events,
    /// Whether the API server keeps what this operator writes.
    pub crds: Arc<CrdState>,
    /// Objects worked on at the same time.
    pub workers: Semaphore,
    /// Which first lists are complete.
    pub lists: Lists,
    /// Nothing new begins.
    pub stop: Stop,
}

/// The first lists of all watches: nothing begins before they are complete, for only then can be told whose turn
/// it is.
#[derive(Debug)]
pub struct Lists {
    watches: usize,
    complete: channel::Sender<usize>,
}

impl Lists {
    /// None of `watches` is complete yet.
    #[must_use]
    pub fn new(watches: usize) -> Self {
        Self { watches, complete: channel::Sender::new(0) }
    }

    fn note(&self) {
        self.complete.send_modify(|complete| *complete += 1);
    }

    /// Whether there is any.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.complete.borrow() > 0
    }

    /// Whether all are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self.complete.borrow() >= self.watches
    }

    async fn all(&self) {
        // The sender lives as long as this future borrows it.
        let _ = self.complete.subscribe().wait_for(|complete| *complete >= self.watches).await;
    }
}

/// The order to take nothing new, and to finish what is under way.
#[derive(Debug, Default)]
pub struct Stop {
    ordered: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// Gives the order.
    pub fn order(&self) {
        self.ordered.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whether the order was given.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.ordered.load(Ordering::SeqCst)
    }

    /// Waits for the order.
    pub async fn ordered(&self) {
        let changed = self.changed.notified();
        if !self.is_ordered() {
            changed.await;
        }
    }
}
