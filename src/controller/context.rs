//! What the passes over one kind share, and what they have written that the watch has not shown yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource as _;

use crate::api::Outcome;

use super::packed::{Packed, Undecodable};
use super::roster::{Key, version};
use super::{Managed, Shared};

/// What the passes over one kind share.
pub(super) struct Context<O> {
    pub(super) shared: Arc<Shared>,
    /// Objects as this process wrote them, where the watch has not caught up.
    newest: Mutex<HashMap<Arc<str>, Arc<O>>>,
}

impl<O: Managed> Context<O> {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, newest: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<O>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newer one of the cached object and what this process wrote.
    ///
    /// # Errors
    /// Where the cached one is needed and is not what its kind has.
    pub(super) fn newest(&self, cached: &Packed<O>) -> Result<Arc<O>, Undecodable> {
        if let Some(own) = self.lock().get(cached.meta().uid.as_deref().unwrap_or_default())
            && version(own.meta()) > version(cached.meta())
        {
            return Ok(own.clone());
        }
        self.caught_up(cached);
        cached.open().map(Arc::new)
    }

    /// The watch has shown this version: what this process wrote before it needs no keeping.
    pub(super) fn caught_up(&self, shown: &Packed<O>) {
        let uid = shown.meta().uid.as_deref().unwrap_or_default();
        let mut newest = self.lock();
        if newest.get(uid).is_some_and(|own| version(own.meta()) <= version(shown.meta())) {
            newest.remove(uid);
        }
    }

    /// A record that is final needs no keeping: nothing is decided on it any more.
    pub(super) fn keep_newest(&self, key: &Key, object: &Arc<O>) {
        if object.status().and_then(|status| status.outcome).is_some_and(Outcome::is_final) {
            self.lock().remove(&key.uid);
        } else {
            self.lock().insert(key.uid.clone(), object.clone());
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(&key.uid);
        self.shared.roster.forget(key);
    }
}
