//! An object from the API server that may turn out to be invalid, without ending the watch of the others.
//!
//! kube's `DeserializeGuard` does the same, but copies each object twice to find out, managed fields included.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A copy of the manifest, which kubectl keeps for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object without labels, managed fields and kubectl's copy of it, or why it cannot be decoded; cheap to clone.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<Arc<K>, InvalidObject>);

/// A custom resource that can be assembled.
pub trait FromParts {
    /// `spec`.
    type Spec: DeserializeOwned;
    /// `status`.
    type Status: DeserializeOwned;

    /// Returns the object with these parts.
    fn from_parts(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

/// The object as the API server sends it; managed fields and labels are ignored.
#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>, T: Deserialize<'de>"))]
struct Wire<S, T> {
    metadata: WireMeta,
    #[serde(default)]
    spec: Lenient<S>,
    #[serde(default)]
    status: Lenient<Option<T>>,
}

/// A valid value, or any other, which shows why it is invalid when it is decoded again.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Valid(T),
    Other(Value),
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

impl<T: DeserializeOwned> Lenient<T> {
    fn decode(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Valid(value) => Ok(value),
            Self::Other(value) => serde_json::from_value(value),
        }
    }
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

impl<'de, K: FromParts> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, spec, status } = Wire::<K::Spec, K::Status>::deserialize(deserializer)?;
        let metadata = ObjectMeta::from(metadata);
        Ok(Self(match spec.decode().and_then(|spec| Ok((spec, status.decode()?))) {
            Ok((spec, status)) => Ok(Arc::new(K::from_parts(metadata, spec, status))),
            Err(error) => Err(InvalidObject { error: error.to_string(), metadata }),
        }))
    }
}

impl<K: Resource + Clone> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

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
        serde_json::from_str(&object.to_string())
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
        let WatchEvent::Added(added) = serde_json::from_str::<WatchEvent<Guarded<ConnectorRestore>>>(&event)?
        else {
            return Err("it is another event".into());
        };
        assert_eq!(added.0?.metadata.name.as_deref(), Some("a"));
        Ok(())
    }
}
