//! Manifests that read aloud.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// A manifest, as a user writes it.
#[derive(Clone, Debug)]
pub(crate) struct Manifest(Value);

/// A restore of `connector`.
pub(crate) fn restore(name: &str, connector: Uuid) -> Manifest {
    Manifest(json!({
        "apiVersion": "cde.productsup.com/v1alpha1",
        "kind": "ConnectorRestore",
        "metadata": {"name": name},
        "spec": {"connectorId": connector},
    }))
}

/// A rollback of `version` of `connector`, meant for the next hour.
pub(crate) fn rollback(name: &str, connector: Uuid, version: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "cde.productsup.com/v1alpha1",
        "kind": "MigrationRollback",
        "metadata": {"name": name},
        "spec": {"connectorId": connector, "version": version, "notAfter": in_an_hour()},
    }))
}

/// An hour from now, as a manifest says it.
pub(crate) fn in_an_hour() -> String {
    from_now(3600)
}

/// So many seconds from now, as a manifest says it.
pub(crate) fn from_now(seconds: i64) -> String {
    let then = Timestamp::now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second(then.as_second()).expect("a time").to_string()
}

impl Manifest {
    /// Sets a field of the spec.
    pub(crate) fn spec(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][field] = value.into();
        self
    }

    /// Leaves a field of the spec out.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.0["spec"].as_object_mut().expect("a spec").remove(field);
        self
    }

    /// Sets an annotation.
    pub(crate) fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = value.into();
        self
    }

    /// Sets a label.
    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = value.into();
        self
    }

    /// Adds a finalizer of somebody else's.
    pub(crate) fn finalizer(mut self) -> Self {
        self.0["metadata"]["finalizers"] = json!(["example.com/kept"]);
        self
    }

    /// JSON, which is YAML.
    pub(crate) fn yaml(&self) -> String {
        self.0.to_string()
    }
}
