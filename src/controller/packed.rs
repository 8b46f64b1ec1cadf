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
