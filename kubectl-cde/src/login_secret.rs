//! The Secret that holds the login.
//!
//! The plugin needs the permissions `get`, `create` and `patch` on this one Secret. The Secret is created by a server-side
//! apply, because the API server then checks the permission `create` with the name of the object, so that a Role can allow
//! it for one Secret only. An existing Secret is changed by a patch with its `resourceVersion`.

use cde_operator::oauth::{Login, MANAGED_BY, SECRET_TYPE, key};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::error::{Call, Error, has_code};

/// Flux removes fields of managers whose names begin with `kubectl`.
const FIELD_MANAGER: &str = "cde-cli";
/// The label that marks the Secret.
const LABEL: &str = "app.kubernetes.io/managed-by";
/// A write that meets this many conflicts in a row meets a program that does nothing but write.
const MAX_CONFLICTS: usize = 20;

/// The Secret of the login, which may not exist.
pub(crate) struct LoginSecret<'a> {
    api: Api<Secret>,
    namespace: &'a str,
    name: &'a str,
}

/// An existing Secret.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    version: String,
    /// Its content.
    pub(crate) login: Login,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The Secret was as it had been read.
    AsSeen,
    /// Somebody had changed the Secret meanwhile.
    Changed,
}

/// A write that failed.
#[derive(Clone, Debug)]
pub(crate) struct Unwritten {
    /// Why.
    pub(crate) error: Error,
    /// The API server gave no clear answer: the login may be in the Secret.
    pub(crate) may_be_stored: bool,
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self { error, may_be_stored: false }
    }
}

impl<'a> LoginSecret<'a> {
    /// Returns the Secret with this name in the namespace of the cluster.
    pub(crate) fn new(cluster: &'a Cluster, name: &'a str) -> Self {
        Self {
            api: Api::namespaced(cluster.client.clone(), &cluster.namespace),
            namespace: &cluster.namespace,
            name,
        }
    }

    /// Reads the Secret; `None` if it does not exist. Fails if it holds something else than a login.
    pub(crate) async fn read(&self) -> Result<Option<Stored>, Error> {
        let read = self.api.get_opt(self.name).await.map_err(|error| self.call("get").error(&error))?;
        let Some(secret) = read else { return Ok(None) };
        let data = secret.data.unwrap_or_default();
        let labels = secret.metadata.labels.unwrap_or_default();
        let is_ours = data.is_empty() || labels.get(LABEL).is_some_and(|value| value == MANAGED_BY);
        if !is_ours || secret.type_.is_some_and(|its| its != SECRET_TYPE) {
            return Err(Error::Usage(format!(
                "the Secret {self} holds something else than a login (it lacks the label {LABEL}={MANAGED_BY} or the \
                 type {SECRET_TYPE}): choose another name with --secret"
            )));
        }
        if secret.immutable == Some(true) {
            return Err(Error::Usage(format!("the Secret {self} is immutable: delete it")));
        }
        let version = secret.metadata.resource_version.unwrap_or_default();
        Ok(Some(Stored { version, login: Login::read(&data) }))
    }

    /// Asks the API server whether it would accept [`Self::write`], so that nobody logs in for nothing.
    pub(crate) async fn check_write(&self, seen: Option<&Stored>) -> Result<(), Error> {
        match seen {
            Some(_) => self.patch(&json!({ "metadata": { "labels": { LABEL: MANAGED_BY } } }), true).await,
            None => self.create(&Login::default(), true).await,
        }
        .map_err(|error| self.call("patch").error(&error))
    }

    /// Stores a login in place of whatever the Secret holds. `seen` is what a person agreed to replace.
    pub(crate) async fn write(&self, seen: Option<Stored>, login: &Login) -> Result<Written, Unwritten> {
        let (mut current, mut written) = (seen, Written::AsSeen);
        if current.is_none() {
            // A login takes minutes, and an apply would overwrite a Secret that was made meanwhile without a conflict.
            current = self.read().await?;
            if current.is_some() {
                written = Written::Changed;
            }
        }
        for _ in 0..MAX_CONFLICTS {
            let result = match &current {
                Some(stored) => self.patch(&conditional(stored, login), false).await,
                None => self.create(login, false).await,
            };
            match result {
                Ok(()) => return Ok(written),
                Err(error) if has_code(&error, 409) || (has_code(&error, 404) && current.is_some()) => {
                    written = Written::Changed;
                    current = self.read().await?;
                }
                Err(error) => {
                    let may_be_stored = is_unclear(&error);
                    return Err(Unwritten { error: self.call("patch").error(&error), may_be_stored });
                }
            }
        }
        let changes =
            format!("the Secret {self} changes all the time: see who writes it, and run this again");
        Err(Error::Kubernetes(changes).into())
    }

    /// Removes all keys of the login, if the Secret is as it was read. Returns whether it was.
    pub(crate) async fn empty(&self, seen: &Stored) -> Result<bool, Error> {
        match self.patch(&conditional(seen, &Login::default()), false).await {
            Ok(()) => Ok(true),
            Err(error) if has_code(&error, 409) || has_code(&error, 404) => Ok(false),
            Err(error) => Err(self.call("patch").error(&error)),
        }
    }

    async fn create(&self, login: &Login, dry_run: bool) -> kube::Result<()> {
        let params = PatchParams { dry_run, ..PatchParams::apply(FIELD_MANAGER).force() };
        let secret = manifest(self.namespace, self.name, login);
        self.api.patch_metadata(self.name, &params, &Patch::Apply(&secret)).await.map(drop)
    }

    async fn patch(&self, patch: &serde_json::Value, dry_run: bool) -> kube::Result<()> {
        let field_manager = Some(FIELD_MANAGER.to_owned());
        let params = PatchParams { dry_run, field_manager, ..PatchParams::default() };
        self.api.patch_metadata(self.name, &params, &Patch::Merge(patch)).await.map(drop)
    }

    fn call(&self, verb: &'a str) -> Call<'a> {
        Call { verb, resource: "secrets", namespace: self.namespace, name: self.name }
    }
}

impl std::fmt::Display for LoginSecret<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Returns whether a request may have had its effect in spite of this error.
fn is_unclear(error: &kube::Error) -> bool {
    !matches!(error, kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 408)
}

/// Returns the Secret as a manifest that replaces all keys of an existing one. An apply removes no key that somebody else
/// wrote, such as a claim, so absent values are empty.
pub(crate) fn replacing_manifest(namespace: &str, name: &str, login: &Login) -> Secret {
    let mut secret = manifest(namespace, name, login);
    let data = secret.data.get_or_insert_default();
    for key in key::ALL {
        data.entry(key.to_owned()).or_insert_with(|| ByteString(Vec::new()));
    }
    secret
}

/// Returns the Secret as a manifest.
fn manifest(namespace: &str, name: &str, login: &Login) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some([(LABEL.to_owned(), MANAGED_BY.to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some(login.data()),
        ..Secret::default()
    }
}

/// Returns a patch that fails if the Secret has changed since it was read.
fn conditional(seen: &Stored, login: &Login) -> serde_json::Value {
    json!({
        "metadata": { "resourceVersion": seen.version, "labels": { LABEL: MANAGED_BY } },
        "data": login.patch(),
    })
}
