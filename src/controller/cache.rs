//! The objects of one watch, each with what this process remembers about it.
//!
//! The cache also takes the responses to this process's own writes, and drops older watch events, so it always has the
//! newest version that this process knows. kube's reflector store would know an object by its name, and keep a second copy
//! of all while they are listed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use kube::Resource as _;
use kube::runtime::watcher::Event;

use crate::runtime::guarded::Guarded;
use crate::runtime::version::version;

use super::kind::{Key, Kind, Waker};
use super::memory::Memory;

pub(super) enum Change<K> {
    /// A newer version, and whether the input of users has changed.
    Newer(Key, Arc<K>, bool),
    Gone(Key),
    /// The object cannot be decoded, is left alone and counts as gone.
    Undecodable(Key, String),
}

pub(super) struct Cache<K> {
    waker: Waker,
    inner: Mutex<Inner<K>>,
}

struct Inner<K> {
    /// By uid.
    entries: HashMap<Arc<str>, Entry<K>>,
    /// The uids in the list in progress. When it is complete, all others are gone.
    listed: HashSet<String>,
}

struct Entry<K> {
    key: Key,
    object: Guarded<K>,
    memory: Memory,
}

impl<K: Kind> Cache<K> {
    /// Returns an empty cache, and the objects that are woken.
    pub(super) fn new() -> (Self, UnboundedReceiver<Key>) {
        let (waker, woken) = unbounded();
        let inner = Inner { entries: HashMap::new(), listed: HashSet::new() };
        (Self { waker, inner: Mutex::new(inner) }, woken)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the newest version of an object, if it exists and can be decoded.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.lock().entries.get(&key.uid)?.object.0.as_ref().ok().cloned()
    }

    /// Accesses the memory of an object; `None` if it is gone.
    pub(super) fn remember<T>(&self, key: &Key, use_it: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        self.lock().entries.get_mut(&key.uid).map(|entry| use_it(&mut entry.memory))
    }

    /// Stores the response to an own write; false if the watch was faster or the object is gone.
    pub(super) fn put(&self, key: &Key, object: &Arc<K>) -> bool {
        let mut inner = self.lock();
        let newer = |entry: &&mut Entry<K>| version(entry.object.meta()) < version(object.meta());
        let Some(entry) = inner.entries.get_mut(&key.uid).filter(newer) else { return false };
        entry.memory.see(object.as_ref());
        entry.object = Guarded(Ok(object.clone()));
        true
    }

    /// Stores a watch event and returns the changes.
    pub(super) fn apply(&self, event: Event<Guarded<K>>) -> Vec<Change<K>> {
        let mut inner = self.lock();
        match event {
            Event::Init => {
                inner.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                inner.listed.extend(object.meta().uid.clone());
                inner.see(object, &self.waker).into_iter().collect()
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut inner.listed);
                let gone = inner.entries.extract_if(|uid, _| !listed.contains(&**uid));
                gone.map(|(_, entry)| Change::Gone(entry.key)).collect()
            }
            Event::Apply(object) => inner.see(object, &self.waker).into_iter().collect(),
            Event::Delete(object) => {
                let gone = object.meta().uid.as_deref().and_then(|uid| inner.entries.remove(uid));
                gone.map(|entry| Change::Gone(entry.key)).into_iter().collect()
            }
        }
    }

    /// Passes all objects to a function, each with whether it belongs to another operator.
    pub(super) fn for_each(&self, mut use_it: impl FnMut(&Guarded<K>, bool)) {
        self.lock().entries.values().for_each(|entry| use_it(&entry.object, entry.memory.foreign));
    }
}

impl<K: Kind> Inner<K> {
    /// Stores an object that is watched or listed; `None` if it is not newer. A list may be older than an own write.
    fn see(&mut self, object: Guarded<K>, waker: &Waker) -> Option<Change<K>> {
        let entry = match self.entries.get_mut(object.meta().uid.as_deref()?) {
            Some(entry) if version(entry.object.meta()) >= version(object.meta()) => return None,
            Some(entry) => {
                entry.object = object;
                entry
            }
            None => {
                let key = Key::of::<K>(object.meta(), waker)?;
                let entry = self.entries.entry(key.uid.clone());
                entry.insert_entry(Entry { key, object, memory: Memory::default() }).into_mut()
            }
        };
        let (key, memory) = (entry.key.clone(), &mut entry.memory);
        Some(match &entry.object.0 {
            Ok(object) => {
                memory.undecodable = false;
                memory.see(object.as_ref());
                let input_changed = memory.input_changed(object.as_ref());
                Change::Newer(key, object.clone(), input_changed)
            }
            Err(error) => Change::Undecodable(key, error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;
    use serde_json::json;

    use crate::api::ConnectorRestore;

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn received(uid: &str, version: &str) -> Result<Guarded<ConnectorRestore>, serde_json::Error> {
        let object = json!({
            "apiVersion": ConnectorRestore::api_resource().api_version,
            "kind": "ConnectorRestore",
            "metadata": { "name": uid, "namespace": "b", "uid": uid, "resourceVersion": version },
            "spec": { "connectorID": "3f2b8c1e-8d5a-4c57-9a54-0d3f6b1c2a77" },
        });
        serde_json::from_str(&object.to_string())
    }

    /// Describes changes: `+` and the uid of a newer object, `-` and that of one that is gone.
    fn shown(changes: Vec<Change<ConnectorRestore>>) -> String {
        let one = |change| match change {
            Change::Newer(key, ..) => format!("+{}", key.uid),
            Change::Gone(key) => format!("-{}", key.uid),
            Change::Undecodable(key, _) => format!("?{}", key.uid),
        };
        changes.into_iter().map(one).collect()
    }

    #[test]
    fn an_own_write_counts_once_and_only_while_the_object_is_watched() -> Tested {
        let (cache, _woken) = Cache::<ConnectorRestore>::new();
        let own = |version| Ok::<_, Box<dyn std::error::Error>>(received("a", version)?.0?);
        let changes = cache.apply(Event::Apply(received("a", "1")?));
        let [Change::Newer(key, ..)] = changes.as_slice() else { return Err("it is not stored".into()) };
        assert!(cache.put(key, &own("2")?), "it is newer than the watch event");
        assert!(!cache.put(key, &own("2")?), "it is already stored");
        assert_eq!(shown(cache.apply(Event::Apply(received("a", "1")?))), "", "an echo is older");
        assert_eq!(shown(cache.apply(Event::Delete(received("a", "3")?))), "-a");
        assert!(!cache.put(key, &own("3")?), "it is gone");
        assert!(cache.get(key).is_none());
        Ok(())
    }

    #[test]
    fn only_a_complete_list_shows_that_an_object_is_gone() -> Tested {
        let (cache, _woken) = Cache::<ConnectorRestore>::new();
        let changes = |events: Vec<Event<_>>| -> Vec<String> {
            events.into_iter().map(|event| shown(cache.apply(event))).collect()
        };
        let [a, b] = ["a", "b"].map(|uid| received(uid, "2"));
        let (a, b) = (a?, b?);
        let first =
            vec![Event::Init, Event::InitApply(a.clone()), Event::InitApply(b.clone()), Event::InitDone];
        assert_eq!(changes(first), ["", "+a", "+b", ""]);
        let interrupted = vec![Event::Init, Event::InitApply(a), Event::Init];
        assert_eq!(changes(interrupted), ["", "", ""], "nothing is newer");
        let complete = vec![Event::InitApply(b), Event::InitDone, Event::Init, Event::InitDone];
        assert_eq!(changes(complete), ["", "-a", "", "-b"]);
        Ok(())
    }
}
