//! Compares the CRDs in the cluster with those of this version.

use cde_operator::api::{GROUP, VERSION, crds};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::{Error, has_code};

/// The CRDs in the cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Crds {
    /// They have every field of this version.
    Complete,
    /// They lack these fields, so they are older than this version.
    Lack(Vec<String>),
    /// They are not installed.
    Absent,
}

impl Crds {
    /// Reads the schemas that the API server publishes. Everybody who may log in to the cluster may do so.
    pub(crate) async fn read(cluster: &Cluster) -> Result<Self, Error> {
        let path = format!("/openapi/v3/apis/{GROUP}/{VERSION}");
        let failed = |why: &dyn std::error::Error| {
            let why = cde_operator::text::clean(&cde_operator::text::describe(why), 300);
            Error::Kubernetes(format!("cannot read the CRDs ({path}): {why}"))
        };
        let request = http::Request::get(&path).body(Vec::new()).map_err(|error| failed(&error))?;
        match cluster.client.request::<Value>(request).await {
            Ok(document) => Ok(Self::of(&document)),
            Err(error) if has_code(&error, 404) => Ok(Self::Absent),
            Err(error) => Err(failed(&error)),
        }
    }

    fn of(document: &Value) -> Self {
        let reversed: Vec<&str> = GROUP.split('.').rev().collect();
        let mut missing = Vec::new();
        for crd in crds() {
            let kind = crd.spec.names.kind;
            let served =
                &document["components"]["schemas"][format!("{}.{VERSION}.{kind}", reversed.join("."))];
            let schema = crd.spec.versions.into_iter().find_map(|version| version.schema?.open_api_v3_schema);
            if let Some(schema) = schema {
                compare(&schema, served, &kind, &mut missing);
            }
        }
        if missing.is_empty() { Self::Complete } else { Self::Lack(missing) }
    }
}

/// Collects the fields of `schema` that `served` lacks. A field in a missing one is not listed.
fn compare(schema: &JSONSchemaProps, served: &Value, path: &str, missing: &mut Vec<String>) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        match &served["properties"][name] {
            Value::Null => missing.push(path),
            served => compare(field, served, &path, missing),
        }
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        compare(items, &served["items"], path, missing);
    }
}

impl std::fmt::Display for Crds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Complete => formatter.write_str("complete"),
            Self::Lack(fields) => write!(
                formatter,
                "older than the plugin, because they lack {}: apply the CRDs of the newer version",
                fields.join(", ")
            ),
            Self::Absent => formatter.write_str("not installed: see the operator's installation"),
        }
    }
}
