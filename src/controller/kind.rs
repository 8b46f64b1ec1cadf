//! The kinds that the controllers handle, and the key of an object.

use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::core::object::{HasSpec, HasStatus};
use serde::Serialize;

use crate::api::{self, for_each_kind};
use crate::operation::Operation;
use crate::runtime::guarded::FromParts;

/// An operation that is a namespaced custom resource.
pub trait Kind:
    Operation<Result: Serialize + Send + Sync + 'static>
    + FromParts
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + Send
    + Sync
    + 'static
{
}

impl<T> Kind for T where
    T: Operation<Result: Serialize + Send + Sync + 'static>
        + FromParts
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + Send
        + Sync
        + 'static
{
}

macro_rules! from_parts {
    ($($kind:ident)*) => {$(
        impl FromParts for api::$kind {
            type Spec = <Self as HasSpec>::Spec;
            type Status = <Self as HasStatus>::Status;

            fn from_parts(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
                Self { metadata, spec, status }
            }
        }
    )*};
}
for_each_kind!(from_parts);

/// Asks the controller of one watch to reconcile an object.
pub(super) type Waker = UnboundedSender<Key>;

/// Identifies an object by its uid, so that a recreated object has another key. Cheap to clone.
#[derive(Clone)]
pub struct Key {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// The kind, as in a manifest.
    pub kind: &'static str,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    waker: Waker,
}

impl Key {
    /// Returns the key of an object; `None` without a name, namespace or uid.
    pub(super) fn of<K: Kind>(meta: &ObjectMeta, waker: &Waker) -> Option<Self> {
        Some(Self {
            uid: meta.uid.as_deref()?.into(),
            kind: K::KIND,
            namespace: meta.namespace.as_deref()?.into(),
            name: meta.name.as_deref()?.into(),
            waker: waker.clone(),
        })
    }

    pub(super) fn wake(&self) {
        // The receiver is gone only at shutdown.
        let _ = self.waker.unbounded_send(self.clone());
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uid.hash(state);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
