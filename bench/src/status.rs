//! One status write at minimal cost: it reads only the version from the response.

use anyhow::Result;
use cde_operator::api::{GROUP, VERSION};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{PostParams, Request};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// An object to write the status of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Write<'a, S> {
    api_version: String,
    kind: &'a str,
    metadata: Metadata<'a>,
    status: &'a S,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: &'a str,
    resource_version: &'a str,
}

#[derive(Deserialize)]
struct Stored {
    metadata: StoredMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMetadata {
    resource_version: String,
}

impl Target {
    /// Returns the object of this kind that `meta` describes.
    pub(crate) fn of(kind: Kind, meta: ObjectMeta) -> Self {
        Self {
            kind,
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            version: meta.resource_version.unwrap_or_default(),
        }
    }

    /// Replaces the status and keeps the new resource version.
    ///
    /// # Errors
    /// If the API server rejects the write.
    pub(crate) async fn put(&mut self, client: &Client, status: &impl Serialize) -> Result<()> {
        let resource = self.kind.resource();
        let write = Write {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: &resource.kind,
            metadata: Metadata {
                name: &self.name,
                namespace: &self.namespace,
                uid: &self.uid,
                resource_version: &self.version,
            },
            status,
        };
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{}/{}", self.namespace, resource.plural);
        let params = PostParams { field_manager: Some("cde-operator".to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(&write)?;
        let request = Request::new(path).replace_subresource("status", &self.name, &params, body)?;
        let stored: Stored = client.request(request).await?;
        self.version = stored.metadata.resource_version;
        Ok(())
    }
}
