//! Whether the API server keeps what this operator writes: an older definition drops fields without an error.
//!
//! Seen in `/openapi/v3`, which a bare service account may read. Nothing is claimed before it holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::Client;
use serde_json::Value;
use tokio::sync::Notify;

use crate::api::{GROUP, VERSION, crds};
use crate::text::describe;

use super::status_write::within;

/// How often the definitions are looked at while they do not suffice: soon at first, for who has just applied
/// them, then every 30 s.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Whether the definitions suffice.
#[derive(Debug, Default)]
pub struct CrdState {
    good: AtomicBool,
    changed: Notify,
}

impl CrdState {
    /// Whether claims may be made.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.good.load(Ordering::SeqCst)
    }

    /// A write lost a field: look again before the next claim.
    pub fn doubt(&self) {
        self.good.store(false, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn confirm(&self) {
        self.good.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until the definitions suffice.
    pub async fn good(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_good() {
                return;
            }
            changed.await;
        }
    }

    async fn doubted(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.is_good() {
                return;
            }
            changed.await;
        }
    }
}

/// Looks at the definitions until they suffice, and again whenever there is a doubt; runs as long as the process.
pub async fn watch_crds(client: Client, state: &CrdState) {
    let mut said = String::new();
    let mut interval = INTERVAL.0;
    loop {
        let Some(why) = lacks(&client).await else {
            said.clear();
            interval = INTERVAL.0;
            state.confirm();
            state.doubted().await;
            continue;
        };
        if why != said {
            tracing::error!("nothing is claimed: {why}");
            said = why;
        }
        tokio::time::sleep(interval).await;
        interval = (interval * 2).min(INTERVAL.1);
    }
}

/// What the served definitions lack, and what to do; nothing if they suffice.
pub async fn lacks(client: &Client) -> Option<String> {
    let path = format!("/openapi/v3/apis/{GROUP}/{VERSION}");
    let request = match http::Request::get(&path).body(Vec::new()) {
        Ok(request) => request,
        Err(error) => return Some(error.to_string()),
    };
    let served: Value = match within(client.request(request)).await {
        Ok(served) => served,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Some("the custom resource definitions are not installed: apply crds/".to_owned());
        }
        Err(error) => {
            return Some(format!("the definitions cannot be read from {path}: {}", describe(&error)));
        }
    };
    crds().iter().find_map(|crd| lack(crd, &served)).map(|field| {
        format!("the custom resource definitions are older than this operator and lack {field}: apply crds/")
    })
}

/// The first field that `ours` has and the served document has not.
fn lack(ours: &CustomResourceDefinition, served: &Value) -> Option<String> {
    let kind = &ours.spec.names.kind;
    let schemas = served.pointer("/components/schemas").and_then(Value::as_object);
    let theirs =
        schemas.into_iter().flatten().find(|(name, _)| name.ends_with(&format!(".{VERSION}.{kind}")));
    let Some((_, theirs)) = theirs else { return Some(kind.clone()) };
    let version = ours.spec.versions.first()?;
    let schema = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
    let lack = properties_lack(schema, theirs, kind);
    let selectable = version.selectable_fields.iter().flatten().map(|field| field.json_path.as_str());
    lack.or_else(|| {
        let named = theirs.get("x-kubernetes-selectable-fields").map(Value::to_string).unwrap_or_default();
        selectable
            .map(|path| path.trim_start_matches('.'))
            .find(|path| !named.contains(path))
            .map(|path| format!("the selectable field {path} of {kind}"))
    })
}

fn properties_lack(ours: &JSONSchemaProps, theirs: &Value, path: &str) -> Option<String> {
    for (name, property) in ours.properties.iter().flatten() {
        if matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        let path = format!("{path}.{name}");
        let Some(their_property) = theirs.pointer(&format!("/properties/{name}")) else { return Some(path) };
        if let Some(lack) = properties_lack(property, their_property, &path) {
            return Some(lack);
        }
    }
    match (&ours.items, theirs.get("items")) {
        (Some(JSONSchemaPropsOrArray::Schema(ours)), Some(theirs)) => properties_lack(ours, theirs, path),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use super::*;
    use serde_json::json;

    fn served(status: &Value) -> Value {
        let schema = |kind: &str| {
            let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
            let version = &crd.spec.versions[0];
            let mut schema =
                serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap())
                    .unwrap();
            if kind == "MigrationRollback" && !status.is_null() {
                schema["properties"]["status"] = status.clone();
            }
            schema["x-kubernetes-selectable-fields"] =
                serde_json::to_value(&version.selectable_fields).unwrap();
            schema
        };
        json!({"components": {"schemas": {
            "com.productsup.cde.v1alpha1.ConnectorRestore": schema("ConnectorRestore"),
            "com.productsup.cde.v1alpha1.MigrationRollback": schema("MigrationRollback"),
        }}})
    }

    #[test]
    fn definitions_of_this_version_lack_nothing() {
        let document = served(&Value::Null);
        assert_eq!(crds().iter().find_map(|crd| lack(crd, &document)), None);
    }

    #[test]
    fn a_document_without_the_kinds_or_without_their_selectable_fields_does_not_suffice() {
        let lacks = |document: &Value| crds().iter().find_map(|crd| lack(crd, document)).unwrap();
        assert_eq!(lacks(&json!({})), "ConnectorRestore");
        let mut document = served(&Value::Null);
        let kind = "/components/schemas/com.productsup.cde.v1alpha1.MigrationRollback";
        document.pointer_mut(kind).unwrap().as_object_mut().unwrap().remove("x-kubernetes-selectable-fields");
        assert!(
            lacks(&document).starts_with("the selectable field spec.connectorId of"),
            "{}",
            lacks(&document)
        );
    }

    #[test]
    fn a_definition_without_the_claim_is_too_old() {
        let document = served(&json!({"properties": {"conditions": {"items": {"properties": {}}}}}));
        let lack = crds().iter().find_map(|crd| lack(crd, &document)).unwrap();
        assert!(lack.starts_with("MigrationRollback.status."), "{lack}");
    }
}
