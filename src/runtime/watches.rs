//! The state of the watches. A watch that fails holds up only its own namespace.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};

/// Other namespaces wait at most this long for the first list of a watch, which may contain a request for the same
/// connector.
pub const SETTLED: Duration = Duration::from_secs(5);

/// One watch: a kind in a namespace.
#[derive(Clone, Debug)]
pub struct WatchState {
    /// The kind.
    pub kind: &'static str,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    /// The first list is complete.
    listed: bool,
    /// The first list is complete, has failed, or has taken too long.
    settled: bool,
    /// Why the watch does not work.
    pub error: Option<String>,
}

impl WatchState {
    /// Describes the watch: `MigrationRollback in namespace a`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", self.kind),
            None => format!("{} in all namespaces", self.kind),
        }
    }

    /// Whether the first list is complete.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// Whether the first list is complete and the last event was not an error.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.listed && self.error.is_none()
    }
}

/// All watches; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Watches(Arc<Sender<Vec<WatchState>>>);

impl Watches {
    /// Adds a watch and returns its number.
    #[must_use]
    pub fn add(&self, kind: &'static str, namespace: Option<String>) -> usize {
        let state = WatchState { kind, namespace, listed: false, settled: false, error: None };
        let mut number = 0;
        self.0.send_modify(|all| {
            number = all.len();
            all.push(state);
        });
        number
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut WatchState) -> bool) -> bool {
        self.0.send_if_modified(|all| all.get_mut(number).is_some_and(change))
    }

    /// Notes an event of a watch; true if it had failed before.
    #[must_use]
    pub fn works(&self, number: usize) -> bool {
        self.change(number, |watch| watch.error.take().is_some())
    }

    /// Notes that the first list of a watch is complete.
    pub fn listed(&self, number: usize) {
        self.change(number, |watch| {
            watch.settled = true;
            !std::mem::replace(&mut watch.listed, true)
        });
    }

    /// Whether the first list of a watch is complete.
    #[must_use]
    pub fn is_listed(&self, number: usize) -> bool {
        self.0.borrow().get(number).is_some_and(|watch| watch.listed)
    }

    /// Notes that a watch has failed; true if the error is new.
    #[must_use]
    pub fn fails(&self, number: usize, error: &str) -> bool {
        self.change(number, |watch| {
            watch.settled = true;
            watch.error.replace(error.to_owned()).as_deref() != Some(error)
        })
    }

    /// Notes that the first list has taken too long, so that other namespaces no longer wait for it.
    pub fn settle(&self, number: usize) {
        self.change(number, |watch| !std::mem::replace(&mut watch.settled, true));
    }

    /// Returns all watches.
    #[must_use]
    pub fn all(&self) -> Vec<WatchState> {
        self.0.borrow().clone()
    }

    /// Whether there is a namespace all of whose first lists are complete.
    #[must_use]
    pub fn any_namespace_is_listed(&self) -> bool {
        let all = self.0.borrow();
        all.iter().any(|watch| is_listed(&all, watch.namespace.as_deref()))
    }

    /// Waits until reconciliations may start in the namespace of a watch: its first lists of all kinds are complete, and
    /// all other watches are settled. Before that, the order of requests for one connector is unknown.
    pub async fn may_begin(&self, number: usize) {
        let may_begin = |all: &Vec<WatchState>| {
            let namespace = all.get(number).and_then(|watch| watch.namespace.as_deref());
            is_listed(all, namespace) && all.iter().all(|watch| watch.settled)
        };
        let mut states: Receiver<_> = self.0.subscribe();
        // The sender lives as long as this future borrows it.
        let _ = states.wait_for(may_begin).await;
    }
}

fn is_listed(all: &[WatchState], namespace: Option<&str>) -> bool {
    all.iter().filter(|watch| watch.namespace.as_deref() == namespace).all(|watch| watch.listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_cannot_be_listed_does_not_hold_up_others() {
        let watches = Watches::default();
        let [a, b] = ["a", "b"].map(|namespace| watches.add("ConnectorRestore", Some(namespace.to_owned())));
        let begins = |number| {
            let mut future = std::pin::pin!(watches.may_begin(number));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            future.as_mut().poll(&mut context).is_ready()
        };
        watches.listed(a);
        assert!(watches.any_namespace_is_listed());
        assert!(!begins(a), "the other namespace may have a request for the same connector");
        assert!(watches.fails(b, "403"));
        assert!(!watches.fails(b, "403"), "the error is not new");
        assert!(begins(a) && !begins(b));
        assert!(watches.works(b), "it had failed");
        watches.listed(b);
        assert!(begins(b));
    }
}
