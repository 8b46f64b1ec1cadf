//! Builders of manifests.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// A manifest, as a user writes it.
#[derive(Clone, Debug)]
pub struct Manifest(Value);

/// Returns a restore of `connector`.
#[must_use]
pub fn restore(name: &str, connector: Uuid) -> Manifest {
    Manifest(json!({
        "apiVersion": "cde.productsup.com/v1alpha1",
        "kind": "ConnectorRestore",
        "metadata": {"name": name},
        "spec": {"connectorID": connector},
    }))
}

/// Returns a rollback of `version` of `connector`, valid for an hour.
#[must_use]
pub fn rollback(name: &str, connector: Uuid, version: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "cde.productsup.com/v1alpha1",
        "kind": "MigrationRollback",
        "metadata": {"name": name},
        "spec": {"connectorID": connector, "version": version, "notAfter": in_an_hour()},
    }))
}

/// Returns the time an hour from now, as in a manifest.
#[must_use]
pub fn in_an_hour() -> String {
    from_now(3600)
}

/// Returns the time `seconds` from now, as in a manifest.
#[must_use]
pub fn from_now(seconds: i64) -> String {
    let then = Timestamp::now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second(then.as_second()).expect("a time").to_string()
}

impl Manifest {
    /// Sets a field of the spec.
    #[must_use]
    pub fn spec(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][field] = value.into();
        self
    }

    /// Removes a field of the spec.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.0["spec"].as_object_mut().expect("a spec").remove(field);
        self
    }

    /// Sets an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = value.into();
        self
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = value.into();
        self
    }

    /// Adds a finalizer that is not the operator's.
    #[must_use]
    pub fn finalizer(mut self) -> Self {
        self.0["metadata"]["finalizers"] = json!(["example.com/kept"]);
        self
    }

    /// Returns JSON, which is YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        self.0.to_string()
    }
}
