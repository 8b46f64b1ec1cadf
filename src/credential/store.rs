//! The Secret of the login at the API server: watch, read and conditional patches.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Error};
use serde_json::{Map, Value, json};

use crate::oauth::{Claim, Login, key};
use crate::runtime::version::version;
use crate::runtime::watch_stream::watch_events;
use crate::text::{clean, describe};

const FIELD_MANAGER: &str = "cde-operator";
/// Timeout of a read or patch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum characters of an error of the API server.
const MAX_ERROR: usize = 300;

/// A version of the Secret.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) login: Login,
    resource_version: String,
    number: u64,
}

impl Stored {
    fn of(secret: &Secret) -> Self {
        Self {
            login: secret.data.as_ref().map(Login::read).unwrap_or_default(),
            resource_version: secret.metadata.resource_version.clone().unwrap_or_default(),
            number: version(&secret.metadata),
        }
    }

    /// Returns whether this version is older than `other`.
    pub(super) fn is_older(&self, other: &Self) -> bool {
        self.number < other.number
    }
}

/// Why a read or patch did not succeed.
#[derive(Clone, Debug)]
pub(super) enum Unstored {
    /// The Secret has changed (409).
    Conflict,
    /// There is no Secret (404).
    Gone,
    /// Not permitted, or the Secret is immutable (another 4xx): a person must act.
    Refused(String),
    /// No response or a transient error: a patch may be stored.
    Unclear(String),
}

/// What the watch shows.
#[derive(Debug)]
pub(super) enum Seen {
    /// The Secret, or that there is none.
    Now(Option<Stored>),
    /// The Secret cannot be watched, for this reason.
    Refused(String),
}

/// Access to one Secret.
#[derive(Clone)]
pub(super) struct SecretStore {
    api: Api<Secret>,
    watch: Api<Secret>,
    namespace: String,
    name: String,
}

impl SecretStore {
    /// `watch`: a client without a short timeout of responses.
    pub(super) fn new(client: Client, watch: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            watch: Api::namespaced(watch, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns `namespace/name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Returns the reference of Events about the Secret.
    pub(super) fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            ..ObjectReference::default()
        }
    }

    /// Watches the Secret forever. A permission for this one name suffices.
    pub(super) fn watch(&self) -> impl Stream<Item = Seen> + Send + Unpin + use<> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let events = watch_events(self.watch.clone(), config, "Secret", Some(self.namespace.clone()));
        let listed: Option<Stored> = None;
        let seen = events.scan(listed, |listed, event| {
            let seen = match event {
                Ok(Event::Init) => {
                    *listed = None;
                    None
                }
                Ok(Event::InitApply(secret)) => {
                    *listed = Some(Stored::of(&secret));
                    None
                }
                Ok(Event::InitDone) => Some(Seen::Now(listed.take())),
                Ok(Event::Apply(secret)) => Some(Seen::Now(Some(Stored::of(&secret)))),
                Ok(Event::Delete(_)) => Some(Seen::Now(None)),
                Err(error) => watch_refused(&error).map(Seen::Refused),
            };
            std::future::ready(Some(stream::iter(seen)))
        });
        Box::pin(seen.flatten())
    }

    /// Reads the Secret.
    pub(super) async fn read(&self) -> Result<Option<Stored>, Unstored> {
        let secret = limited(self.api.get_opt(&self.name)).await?;
        Ok(secret.as_ref().map(Stored::of))
    }

    /// Sets or removes the claim, if the Secret has not changed since `base`.
    pub(super) async fn set_claim(&self, base: &Stored, claim: Option<&Claim>) -> Result<Stored, Unstored> {
        let claimed = Login { claim: claim.cloned(), ..Login::default() };
        let claim = claimed.patch().remove_entry(key::CLAIM).into_iter().collect();
        self.patch(base, claim, false).await
    }

    /// Proves the permission to patch without a change.
    pub(super) async fn dry_run(&self, base: &Stored) -> Result<(), Unstored> {
        self.patch(base, Map::new(), true).await.map(drop)
    }

    /// Replaces all keys, if the Secret has not changed since `base`.
    pub(super) async fn write(&self, base: &Stored, login: &Login) -> Result<Stored, Unstored> {
        self.patch(base, login.patch(), false).await
    }

    async fn patch(
        &self,
        base: &Stored,
        data: Map<String, Value>,
        dry_run: bool,
    ) -> Result<Stored, Unstored> {
        let change = json!({"metadata": {"resourceVersion": base.resource_version}, "data": data});
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run, ..PatchParams::default() };
        let secret = limited(self.api.patch(&self.name, &params, &Patch::Merge(change))).await?;
        Ok(Stored::of(&secret))
    }
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretStore")
    }
}

async fn limited<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Unstored> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| classify(&error)),
        Err(_) => Err(Unstored::Unclear("the API server did not answer in time".to_owned())),
    }
}

fn classify(error: &Error) -> Unstored {
    match error {
        Error::Api(status) => by_code(status.code, clean(&status.message, MAX_ERROR)),
        // A response that cannot be decoded might be quoted.
        Error::SerdeError(_) => Unstored::Unclear("the response of the API server cannot be read".to_owned()),
        error => Unstored::Unclear(clean(&describe(error), MAX_ERROR)),
    }
}

fn by_code(code: u16, message: String) -> Unstored {
    match code {
        409 => Unstored::Conflict,
        404 => Unstored::Gone,
        // Another try helps, or the credentials of this process are being replaced.
        // A 5xx, or the response of a proxy, may lack a code.
        0..400 | 401 | 408 | 429 | 500.. => Unstored::Unclear(message),
        400..500 => Unstored::Refused(message),
    }
}

/// Returns why the watch needs a person: `None` for an error that ends by itself.
fn watch_refused(error: &watcher::Error) -> Option<String> {
    let (watcher::Error::InitialListFailed(Error::Api(status))
    | watcher::Error::WatchStartFailed(Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return None;
    };
    (status.code == 403).then(|| clean(&status.message, MAX_ERROR))
}
