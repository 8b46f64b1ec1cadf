//! An object of a watch, which is decoded only if it is needed, and which may turn out to be invalid without ending the
//! watch of the others.
//!
//! A watch also returns this process's own writes and the objects that leave it. Of these, the metadata is enough. kube's
//! `DeserializeGuard` decodes each object, and also buffers managed fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A copy of the manifest, which kubectl keeps for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as the API server sends it, without labels, managed fields and kubectl's copy of it.
#[derive(Clone, Debug)]
pub struct Received<K> {
    metadata: ObjectMeta,
    spec: Value,
    status: Value,
    kind: PhantomData<K>,
}

/// A decoded object, or why it cannot be decoded; cheap to clone.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<Arc<K>, InvalidObject>);

/// The received object; managed fields and labels are ignored.
#[derive(Deserialize)]
struct Wire {
    metadata: WireMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    annotations: Option<BTreeMap<String, String>>,
}

impl From<WireMeta> for ObjectMeta {
    fn from(mut meta: WireMeta) -> Self {
        if let Some(annotations) = &mut meta.annotations {
            annotations.remove(LAST_APPLIED);
        }
        Self {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            annotations: meta.annotations,
            ..Self::default()
        }
    }
}

impl<'de, K> Deserialize<'de> for Received<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        Ok(Self { metadata: metadata.into(), spec, status, kind: PhantomData })
    }
}

impl<K: Resource + DeserializeOwned> Received<K> {
    /// Decodes the object.
    #[must_use]
    pub fn decode(self) -> Guarded<K> {
        let Self { metadata, spec, status, .. } = self;
        let fields = [("metadata", Value::Object(Map::new())), ("spec", spec), ("status", status)];
        let object: Result<K, serde_json::Error> = K::deserialize(MapDeserializer::new(fields.into_iter()));
        Guarded(match object {
            Ok(mut object) => {
                *object.meta_mut() = metadata;
                Ok(Arc::new(object))
            }
            Err(error) => Err(InvalidObject { error: error.to_string(), metadata }),
        })
    }
}

/// The part of `Resource` that describes the kind: that of `K`.
macro_rules! kind_of {
    ($kind:ident) => {
        type DynamicType = $kind::DynamicType;
        type Scope = $kind::Scope;

        fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
            $kind::kind(dt)
        }

        fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
            $kind::group(dt)
        }

        fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
            $kind::version(dt)
        }

        fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
            $kind::plural(dt)
        }
    };
}

impl<K: Resource + Clone> Resource for Received<K> {
    kind_of!(K);

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<K: Resource + Clone> Resource for Guarded<K> {
    kind_of!(K);

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|error| &error.metadata, |object| object.meta())
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|error| &mut error.metadata, |object| Arc::make_mut(object).meta_mut())
    }
}

#[cfg(test)]
mod tests {
    use kube::api::WatchEvent;
    use serde_json::json;

    use crate::api::{ConnectorRestore, RETRY_ANNOTATION};

    use super::*;

    fn decode(spec: &Value, status: &Value) -> Result<Guarded<ConnectorRestore>, serde_json::Error> {
        let object = json!({
            "apiVersion": "cde.productsup.com/v1alpha1",
            "kind": "ConnectorRestore",
            "metadata": {
                "name": "a",
                "resourceVersion": "7",
                "labels": { "team": "a" },
                "annotations": { RETRY_ANNOTATION: "now", LAST_APPLIED: "long" },
                "managedFields": [{ "manager": "kubectl" }],
            },
            "spec": spec,
            "status": status,
        });
        serde_json::from_str::<Received<ConnectorRestore>>(&object.to_string()).map(Received::decode)
    }

    #[test]
    fn labels_managed_fields_and_the_copy_of_kubectl_are_dropped() -> Result<(), Box<dyn std::error::Error>> {
        let connector = "3f2b8c1e-8d5a-4c57-9a54-0d3f6b1c2a77";
        let decoded = decode(&json!({ "connectorID": connector }), &json!({ "observedGeneration": 3 }))?;
        let object = decoded.0.as_ref().map_err(|bad| bad.error.clone())?;
        assert_eq!(object.spec.connector_id.to_string(), connector);
        assert_eq!(object.status.as_ref().and_then(|status| status.observed_generation), Some(3));
        let meta = decoded.meta();
        assert_eq!((meta.name.as_deref(), meta.resource_version.as_deref()), (Some("a"), Some("7")));
        assert_eq!((&meta.labels, &meta.managed_fields), (&None, &None));
        assert_eq!(meta.annotations, Some(BTreeMap::from([(RETRY_ANNOTATION.to_owned(), "now".to_owned())])));
        Ok(())
    }

    #[test]
    fn an_object_that_cannot_be_decoded_keeps_its_metadata_and_says_why() -> Result<(), serde_json::Error> {
        let decoded = decode(&json!({ "connectorID": 5 }), &Value::Null)?;
        assert_eq!(decoded.meta().name.as_deref(), Some("a"));
        let error = decoded.0.err().map(|bad| bad.error).unwrap_or_default();
        assert_eq!(error, "invalid type: integer `5`, expected a string");
        Ok(())
    }

    #[test]
    fn an_event_can_have_its_object_before_its_type() -> Result<(), Box<dyn std::error::Error>> {
        let spec = json!({ "connectorID": "3f2b8c1e-8d5a-4c57-9a54-0d3f6b1c2a77" });
        let object = json!({ "spec": spec, "metadata": { "name": "a" } });
        let event = format!(r#"{{"object":{object},"type":"ADDED"}}"#);
        let WatchEvent::Added(received) =
            serde_json::from_str::<WatchEvent<Received<ConnectorRestore>>>(&event)?
        else {
            return Err("it is another event".into());
        };
        assert_eq!(received.decode().0?.metadata.name.as_deref(), Some("a"));
        Ok(())
    }
}
