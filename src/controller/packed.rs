//! An object as it comes from the API server, decoded as far as it is needed, and kept in as few bytes.
//!
//! Most of what a watch tells is the operator's own writing: for that the metadata suffice. Managed fields, labels and
//! all annotations but the retry are dropped unread; nothing is decided on them, and nothing of them is written.

use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use lz4_flex::block::{
    DecompressError, compress_prepend_size_with_dict, decompress_size_prepended_with_dict,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::RETRY_ANNOTATION;

use super::Managed;

/// What statuses have in common. It only spares memory: one that does not match costs some.
const DICTIONARY: &[u8] = include_bytes!("dictionary.json");

/// An object; cheap to clone.
#[derive(Debug)]
pub(super) struct Packed<O> {
    meta: ObjectMeta,
    /// `{"metadata":{},"spec":…,"status":…}`.
    text: Text,
    kind: PhantomData<fn() -> O>,
}

#[derive(Clone, Debug)]
enum Text {
    Plain(Arc<str>),
    Compressed(Arc<[u8]>),
}

/// Why a spec or a status is not what its kind has there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecodable {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Compression(#[from] DecompressError),
}

impl<O: Managed> Packed<O> {
    /// The object itself.
    ///
    /// # Errors
    /// Where somebody stored what the kind's schema does not allow.
    pub(super) fn open(&self) -> Result<O, Undecodable> {
        let mut object: O = match &self.text {
            Text::Plain(text) => serde_json::from_str(text)?,
            Text::Compressed(bytes) => {
                serde_json::from_slice(&decompress_size_prepended_with_dict(bytes, DICTIONARY)?)?
            }
        };
        *object.meta_mut() = self.meta.clone();
        Ok(object)
    }

    /// The same in fewer bytes, for an object that will not change soon.
    pub(super) fn compressed(self) -> Self {
        let text = match self.text {
            Text::Plain(text) => {
                Text::Compressed(compress_prepend_size_with_dict(text.as_bytes(), DICTIONARY).into())
            }
            compressed @ Text::Compressed(_) => compressed,
        };
        Self { text, ..self }
    }
}

impl<O> Clone for Packed<O> {
    fn clone(&self) -> Self {
        Self { meta: self.meta.clone(), text: self.text.clone(), kind: PhantomData }
    }
}

/// From JSON text alone, in which a watch event has its type before its object: so every API server writes it.
impl<'de, O> Deserialize<'de> for Packed<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Whole { metadata, spec, status } = Whole::deserialize(deserializer)?;
        let text = match status {
            Some(status) => format!(r#"{{"metadata":{{}},"spec":{spec},"status":{status}}}"#),
            None => format!(r#"{{"metadata":{{}},"spec":{spec}}}"#),
        };
        Ok(Self { meta: metadata.into(), text: Text::Plain(text.into()), kind: PhantomData })
    }
}

#[derive(Deserialize)]
struct Whole<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: &'a RawValue,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

/// What is decided on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "cde.productsup.com/retry")]
    retry: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(meta: Metadata) -> Self {
        Self {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            annotations: meta.annotations.retry.map(|retry| [(RETRY_ANNOTATION.to_owned(), retry)].into()),
            ..Self::default()
        }
    }
}

impl<O: Managed> Resource for Packed<O> {
    type DynamicType = ();
    type Scope = O::Scope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        O::kind(&())
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        O::group(&())
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        O::version(&())
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        O::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use kube::core::ObjectList;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{MigrationRollback, Reason};

    fn waiting() -> Value {
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": "Retrying", "observedGeneration": 3,
                "lastTransitionTime": "2026-11-22T12:00:00Z",
                "message": "Waiting before the next attempt: the CDE API answered 423: Locked"})
        };
        json!({
            "apiVersion": "cde.productsup.com/v1alpha1",
            "kind": "MigrationRollback",
            "metadata": {
                "name": "back", "namespace": "connectors", "uid": "c7ac3b0e-77d5-4a2f-9b9d-1f1b3f0a2f11",
                "resourceVersion": "42", "generation": 3, "creationTimestamp": "2026-11-22T11:00:00Z",
                "labels": {"team": "feeds"},
                "annotations": {"cde.productsup.com/retry": "2026-11-22T11:59:00Z", "note": "of no concern"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {
                "connectorId": "497f6eca-6276-4993-bfeb-53cbbbba6f08", "version": "main",
                "notAfter": "2026-11-23T00:00:00Z",
            },
            "status": {
                "observedGeneration": 3, "reason": "Retrying", "state": "synchronized-to-prod",
                "conditions": [condition("Ready", "Unknown"), condition("Reconciling", "True")],
                "operation": {
                    "id": "15902ae7-0839-55ad-9091-388bf7a8b348", "attempts": 1, "retries": 1,
                    "server": "https://cde.example.com", "startedAt": "2026-11-22T11:59:00Z",
                    "lastAttemptAt": "2026-11-22T11:59:30Z", "nextAttemptAt": "2026-11-22T12:00:30Z",
                    "lastError": {"at": "2026-11-22T11:59:31Z", "code": 423, "message": "Locked"},
                },
            },
        })
    }

    fn packed(object: &Value) -> Packed<MigrationRollback> {
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn an_object_comes_out_as_it_went_in_but_for_what_nothing_is_decided_on() {
        let mut known: MigrationRollback = serde_json::from_value(waiting()).unwrap();
        known.metadata.labels = None;
        known.metadata.managed_fields = None;
        known.metadata.annotations.as_mut().unwrap().remove("note");
        let known = serde_json::to_value(known).unwrap();
        for packed in [packed(&waiting()), packed(&waiting()).compressed()] {
            assert_eq!(serde_json::to_value(packed.open().unwrap()).unwrap(), known);
        }
    }

    #[test]
    fn an_object_that_waits_is_kept_in_less_than_half_of_its_text() {
        let Text::Compressed(bytes) = packed(&waiting()).compressed().text else { unreachable!() };
        let whole = waiting()["status"].to_string().len();
        assert!(2 * bytes.len() < whole, "{} of {whole} bytes", bytes.len());
    }

    #[test]
    fn one_object_that_its_kind_does_not_allow_does_not_spoil_a_list() {
        let mut odd = waiting();
        odd["status"]["reason"] = "Novel".into();
        let mut bare = waiting();
        bare.as_object_mut().unwrap().remove("status");
        let list = json!({"metadata": {"resourceVersion": "43"}, "items": [odd, waiting(), bare]});
        let list: ObjectList<Packed<MigrationRollback>> = serde_json::from_str(&list.to_string()).unwrap();
        let reasons = list.items.iter().map(|object| {
            object
                .open()
                .map(|object| object.status.and_then(|status| status.reason))
                .map_err(|error| error.to_string())
        });
        let reasons: Vec<_> = reasons.collect();
        assert!(reasons[0].as_ref().is_err_and(|error| error.contains("Novel")), "{reasons:?}");
        assert_eq!(reasons[1..], [Ok(Some(Reason::Retrying)), Ok(None)]);
    }
}
