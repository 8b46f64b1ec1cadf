//! Writes of `/status` and reads of an object.
//!
//! A write is a compare-and-swap with `metadata.resourceVersion` and `metadata.uid`. It is sent once, because a repetition
//! would hide whether the first one was stored.

use std::sync::Arc;
use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, Client, Error, ResourceExt};
use serde::Serialize;

use crate::api::Status;
use crate::runtime::clock;
use crate::runtime::guarded::Guarded;
use crate::text::describe;

use super::error::ReconcileError;
use super::kind::Kind;
use super::metrics::Metrics;

/// Timeout of every call to the API server.
pub const API_SERVER_TIMEOUT: Duration = Duration::from_secs(30);

const FIELD_MANAGER: &str = "cde-operator";
/// Reads of an object before the reconciliation is interrupted.
const READS: u32 = 5;

/// Why a write is not known to be stored.
#[derive(Clone, Debug)]
pub(super) enum Unstored {
    /// The object has changed (409).
    Conflict,
    /// The object is gone (404).
    Gone,
    /// The schema rejects the status (422).
    Refused(String),
    /// No response or a transient error: the status may be stored.
    Unclear(String),
}

impl Unstored {
    /// Returns the label in metrics.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Refused(_) => "refused",
            Self::Unclear(_) => "unclear",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Write<'a, R: Serialize> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    status: &'a Status<R>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: &'a str,
    resource_version: &'a str,
}

/// Replaces the status of `object`, if the object has not changed.
pub(super) async fn put_status<K: Kind>(
    client: &Client,
    metrics: &Metrics,
    object: &K,
    status: &Status<K::Result>,
) -> Result<Arc<K>, Unstored> {
    let meta = object.meta();
    let name = meta.name.as_deref().unwrap_or_default();
    let write = Write {
        api_version: &K::api_version(&()),
        kind: &K::kind(&()),
        metadata: Metadata {
            name,
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            uid: meta.uid.as_deref().unwrap_or_default(),
            resource_version: meta.resource_version.as_deref().unwrap_or_default(),
        },
        status,
    };
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let api = api(client, object);
    let started = clock::monotonic();
    let answer = with_timeout(api.replace_subresource("status", name, &params, &write)).await;
    let answer = answer.map_err(|error| classify(&error)).and_then(decoded);
    let result = answer.as_ref().map_or_else(Unstored::as_str, |_| "stored");
    metrics.wrote(K::KIND, result, started.elapsed());
    answer
}

/// Reads the object again; `None` if it is gone, or if another one has its name.
///
/// # Errors
/// If several reads fail.
pub(super) async fn read_back<K: Kind>(
    client: &Client,
    object: &K,
) -> Result<Option<Arc<K>>, ReconcileError> {
    let api = api(client, object);
    let mut wait = Duration::from_millis(100);
    let mut last = String::new();
    for read in 0..READS {
        if read > 0 {
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
        let answer = with_timeout(api.get(&object.name_any())).await;
        match answer.map_err(|error| classify(&error)).and_then(decoded) {
            Ok(fresh) if fresh.meta().uid == object.meta().uid => return Ok(Some(fresh)),
            Ok(_) | Err(Unstored::Gone) => return Ok(None),
            Err(Unstored::Conflict) => "a read failed with a conflict".clone_into(&mut last),
            Err(Unstored::Refused(why) | Unstored::Unclear(why)) => last = why,
        }
    }
    Err(ReconcileError::ApiServer(last))
}

fn decoded<K: Kind>(object: Guarded<K>) -> Result<Arc<K>, Unstored> {
    object.0.map_err(|invalid| Unstored::Unclear(invalid.to_string()))
}

fn api<K: Kind>(client: &Client, object: &K) -> Api<Guarded<K>> {
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

/// Limits a call, which would wait forever on a half-open connection.
pub(super) async fn with_timeout<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(API_SERVER_TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(Error::Service(elapsed.into())),
    }
}

fn classify(error: &Error) -> Unstored {
    match error {
        Error::Api(status) => match status.code {
            404 => Unstored::Gone,
            409 => Unstored::Conflict,
            422 => Unstored::Refused(status.message.clone()),
            code => Unstored::Unclear(format!("{code}: {}", status.message)),
        },
        other => Unstored::Unclear(describe(other)),
    }
}
