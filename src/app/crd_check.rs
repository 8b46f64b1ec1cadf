//! Checks that the installed CRDs have every field of this version, because an older CRD drops fields without an error.
//!
//! Reads `/openapi/v3`, which needs no permission. No request is claimed before the check passes.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::Client;
use serde_json::Value;

use crate::api::{GROUP, VERSION, crds};
use crate::controller::API_SERVER_TIMEOUT;
use crate::runtime::crd_state::CrdState;
use crate::text::describe;

/// First and longest interval between two checks while the CRDs are too old.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Checks the CRDs until they are complete, and again whenever a write has lost a field. Never returns.
pub(super) async fn watch_crds(client: Client, state: &CrdState) {
    let mut logged = String::new();
    let mut interval = INTERVAL.0;
    loop {
        let Some(why) = missing_fields(&client).await else {
            logged.clear();
            interval = INTERVAL.0;
            state.confirm();
            state.invalid().await;
            continue;
        };
        if why != logged {
            tracing::error!("nothing is claimed: {why}");
            logged = why;
        }
        tokio::time::sleep(interval).await;
        interval = (interval * 2).min(INTERVAL.1);
    }
}

/// Returns what the served CRDs lack, and what to do; `None` if they are complete.
pub(super) async fn missing_fields(client: &Client) -> Option<String> {
    let path = format!("/openapi/v3/apis/{GROUP}/{VERSION}");
    let request = match http::Request::get(&path).body(Vec::new()) {
        Ok(request) => request,
        Err(error) => return Some(error.to_string()),
    };
    let answer = tokio::time::timeout(API_SERVER_TIMEOUT, client.request(request)).await;
    let served: Value = match answer.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into()))) {
        Ok(served) => served,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Some("the CRDs are not installed: apply crds/".to_owned());
        }
        Err(error) => {
            return Some(format!("the CRDs cannot be read from {path}: {}", describe(&error)));
        }
    };
    crds()
        .iter()
        .find_map(|crd| missing_field(crd, &served))
        .map(|field| format!("the installed CRDs are older than this operator and lack {field}: apply crds/"))
}

/// Returns the first field of `ours` that the served document lacks.
fn missing_field(ours: &CustomResourceDefinition, served: &Value) -> Option<String> {
    let kind = &ours.spec.names.kind;
    let schemas = served.pointer("/components/schemas").and_then(Value::as_object);
    let theirs =
        schemas.into_iter().flatten().find(|(name, _)| name.ends_with(&format!(".{VERSION}.{kind}")));
    let Some((_, theirs)) = theirs else { return Some(kind.clone()) };
    let version = ours.spec.versions.first()?;
    let schema = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
    let missing = missing_property(schema, theirs, kind);
    let selectable = version.selectable_fields.iter().flatten().map(|field| field.json_path.as_str());
    missing.or_else(|| {
        let named = theirs.get("x-kubernetes-selectable-fields").map(Value::to_string).unwrap_or_default();
        selectable
            .map(|path| path.trim_start_matches('.'))
            .find(|path| !named.contains(path))
            .map(|path| format!("the selectable field {path} of {kind}"))
    })
}

fn missing_property(ours: &JSONSchemaProps, theirs: &Value, path: &str) -> Option<String> {
    for (name, property) in ours.properties.iter().flatten() {
        if matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        let path = format!("{path}.{name}");
        let Some(their_property) = theirs.pointer(&format!("/properties/{name}")) else { return Some(path) };
        if let Some(missing) = missing_property(property, their_property, &path) {
            return Some(missing);
        }
    }
    match (&ours.items, theirs.get("items")) {
        (Some(JSONSchemaPropsOrArray::Schema(ours)), Some(theirs)) => missing_property(ours, theirs, path),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn served(status: &Value) -> Value {
        let schema = |crd: CustomResourceDefinition| {
            let kind = crd.spec.names.kind;
            let version = &crd.spec.versions[0];
            let mut schema =
                serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap())
                    .unwrap();
            if kind == "MigrationRollback" && !status.is_null() {
                schema["properties"]["status"] = status.clone();
            }
            schema["x-kubernetes-selectable-fields"] =
                serde_json::to_value(&version.selectable_fields).unwrap();
            (format!("com.productsup.cde.v1alpha1.{kind}"), schema)
        };
        json!({"components": {"schemas": crds().into_iter().map(schema).collect::<Map<_, _>>()}})
    }

    #[test]
    fn the_crds_of_this_version_are_complete() {
        let document = served(&Value::Null);
        assert_eq!(crds().iter().find_map(|crd| missing_field(crd, &document)), None);
    }

    #[test]
    fn a_document_without_the_kinds_or_their_selectable_fields_is_rejected() {
        let lacks = |document: &Value| crds().iter().find_map(|crd| missing_field(crd, document)).unwrap();
        assert_eq!(lacks(&json!({})), "ConnectorRestore");
        let mut document = served(&Value::Null);
        let kind = "/components/schemas/com.productsup.cde.v1alpha1.MigrationRollback";
        document.pointer_mut(kind).unwrap().as_object_mut().unwrap().remove("x-kubernetes-selectable-fields");
        assert!(
            lacks(&document).starts_with("the selectable field spec.connectorID of"),
            "{}",
            lacks(&document)
        );
    }

    #[test]
    fn a_crd_without_the_claim_is_too_old() {
        let document = served(&json!({"properties": {"conditions": {"items": {"properties": {}}}}}));
        let lack = crds().iter().find_map(|crd| missing_field(crd, &document)).unwrap();
        assert!(lack.starts_with("MigrationRollback.status."), "{lack}");
    }
}
