//! The objects of one watch, in kube's reflector store.
//!
//! The store also takes the responses to this process's own writes, and drops older watch events, so it always has the
//! newest version that this process knows. The memory of an object is removed with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::{Store, Writer, store};
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

pub(super) struct Cache<K: Kind> {
    objects: Store<Guarded<K>>,
    waker: Waker,
    inner: Mutex<Inner<K>>,
}

struct Inner<K: Kind> {
    writer: Writer<Guarded<K>>,
    memories: HashMap<Arc<str>, (Key, Memory)>,
    /// The list in progress, which counts when it is complete.
    listed: HashMap<Arc<str>, (Key, Arc<Guarded<K>>)>,
}

impl<K: Kind> Cache<K> {
    /// Returns an empty cache, and the objects that are woken.
    pub(super) fn new() -> (Self, UnboundedReceiver<Key>) {
        let ((objects, writer), (waker, woken)) = (store(), unbounded());
        let inner = Mutex::new(Inner { writer, memories: HashMap::new(), listed: HashMap::new() });
        (Self { objects, waker, inner }, woken)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn key(&self, meta: &ObjectMeta) -> Option<Key> {
        Key::of::<K>(meta, &self.waker)
    }

    /// Returns the newest version of an object, if it exists and can be decoded.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.stored(key)?.0.as_ref().ok().cloned()
    }

    fn stored(&self, key: &Key) -> Option<Arc<Guarded<K>>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        self.objects.get(&reference).filter(|stored| stored.meta().uid.as_deref() == Some(&*key.uid))
    }

    /// Accesses the memory of an object; `None` if it is gone.
    pub(super) fn remember<T>(&self, key: &Key, use_it: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        self.lock().memories.get_mut(&key.uid).map(|(_, memory)| use_it(memory))
    }

    /// Stores the response to an own write; false if the watch was faster or the object is gone.
    pub(super) fn put(&self, key: &Key, object: &Arc<K>) -> bool {
        let mut inner = self.lock();
        if self.stored(key).is_none_or(|stored| version(stored.meta()) >= version(object.meta())) {
            return false;
        }
        let Some((_, memory)) = inner.memories.get_mut(&key.uid) else { return false };
        memory.see(object.as_ref());
        inner.writer.apply_watcher_event(&Event::Apply(Guarded(Ok(object.clone()))));
        true
    }

    /// Stores a watch event and returns the changes.
    pub(super) fn apply(&self, event: Event<Guarded<K>>) -> Vec<Change<K>> {
        let mut inner = self.lock();
        match event {
            Event::Init => {
                inner.listed.clear();
                inner.writer.apply_watcher_event(&Event::Init);
                Vec::new()
            }
            Event::InitApply(object) => {
                let Some(key) = self.key(object.meta()) else { return Vec::new() };
                // A list may be older than an own write.
                let newer = self.stored(&key).filter(|own| version(own.meta()) > version(object.meta()));
                let object = newer.unwrap_or_else(|| Arc::new(object));
                inner.writer.apply_watcher_event(&Event::InitApply(Guarded::clone(&object)));
                inner.listed.insert(key.uid.clone(), (key, object));
                Vec::new()
            }
            Event::InitDone => {
                inner.writer.apply_watcher_event(&Event::InitDone);
                let listed = std::mem::take(&mut inner.listed);
                let gone = inner.memories.extract_if(|uid, _| !listed.contains_key(uid));
                let mut changes: Vec<_> = gone.map(|(_, (key, _))| Change::Gone(key)).collect();
                changes.extend(listed.into_values().map(|(key, object)| inner.see(key, &object)));
                changes
            }
            Event::Apply(object) => {
                let Some(key) = self.key(object.meta()) else { return Vec::new() };
                if self.stored(&key).is_some_and(|own| version(own.meta()) >= version(object.meta())) {
                    return Vec::new();
                }
                inner.writer.apply_watcher_event(&Event::Apply(object.clone()));
                vec![inner.see(key, &object)]
            }
            Event::Delete(object) => {
                let Some(key) = self.key(object.meta()) else { return Vec::new() };
                if let Some(stored) = self.stored(&key) {
                    inner.writer.apply_watcher_event(&Event::Delete(Guarded::clone(&stored)));
                }
                inner.memories.remove(&key.uid).map(|(key, _)| Change::Gone(key)).into_iter().collect()
            }
        }
    }

    /// Returns all objects, each with whether it belongs to another operator.
    pub(super) fn all(&self) -> Vec<(Arc<Guarded<K>>, bool)> {
        let (objects, inner) = (self.objects.state(), self.lock());
        let is_foreign = |object: &Guarded<K>| {
            let memory = object.meta().uid.as_deref().and_then(|uid| inner.memories.get(uid));
            memory.is_some_and(|(_, memory)| memory.foreign)
        };
        objects.into_iter().map(|object| (object.clone(), is_foreign(&object))).collect()
    }
}

impl<K: Kind> Inner<K> {
    fn see(&mut self, key: Key, object: &Guarded<K>) -> Change<K> {
        let (_, memory) =
            self.memories.entry(key.uid.clone()).or_insert_with(|| (key.clone(), Memory::default()));
        match &object.0 {
            Ok(object) => {
                memory.undecodable = false;
                memory.see(object.as_ref());
                let input_changed = memory.input_changed(object.as_ref());
                Change::Newer(key, object.clone(), input_changed)
            }
            Err(error) => Change::Undecodable(key, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;
    use serde_json::json;

    use crate::api::ConnectorRestore;

    use super::*;

    fn received(version: &str) -> Result<Guarded<ConnectorRestore>, serde_json::Error> {
        let object = json!({
            "apiVersion": ConnectorRestore::api_resource().api_version,
            "kind": "ConnectorRestore",
            "metadata": { "name": "a", "namespace": "b", "uid": "u", "resourceVersion": version },
            "spec": { "connectorID": "3f2b8c1e-8d5a-4c57-9a54-0d3f6b1c2a77" },
        });
        serde_json::from_str(&object.to_string())
    }

    #[test]
    fn an_own_write_counts_once_and_only_while_the_object_is_watched()
    -> Result<(), Box<dyn std::error::Error>> {
        let (cache, _woken) = Cache::<ConnectorRestore>::new();
        let own = |version| Ok::<_, Box<dyn std::error::Error>>(received(version)?.0?);
        let key = cache.key(received("1")?.meta()).ok_or("it has no name")?;
        let _ = cache.apply(Event::Apply(received("1")?));
        assert!(cache.put(&key, &own("2")?), "it is newer than the watch event");
        assert!(!cache.put(&key, &own("2")?), "it is already stored");
        assert!(cache.apply(Event::Apply(received("1")?)).is_empty(), "an echo is older");
        let changes = cache.apply(Event::Delete(received("3")?));
        assert!(matches!(changes.as_slice(), [Change::Gone(_)]));
        assert!(!cache.put(&key, &own("3")?), "it is gone");
        assert!(cache.get(&key).is_none());
        Ok(())
    }
}
