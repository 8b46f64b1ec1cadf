//! The order of versions of one object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Returns `metadata.resourceVersion` as a number; 0 if it is none.
#[must_use]
pub fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}
