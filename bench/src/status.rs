//! One status write at minimal cost: it sends a recorded status, and reads only the version from the response.

use anyhow::Result;
use cde_operator::api::{GROUP, VERSION};
use kube::Client;
use kube::api::{PostParams, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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
struct Write<'a> {
    api_version: String,
    kind: &'a str,
    metadata: Metadata<'a>,
    status: &'a RawValue,
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
    /// Replaces the status and keeps the new resource version.
    ///
    /// # Errors
    /// If the API server rejects the write.
    pub(crate) async fn put(&mut self, client: &Client, status: &RawValue) -> Result<()> {
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
