//! The world of one test: a namespace of its own, a CDE sandbox of its own, an operator of its own that watches
//! that namespace; and one control plane for all tests of the binary.

#![allow(dead_code, unused_imports, reason = "shared by several test binaries, none of which uses all of it")]

mod manifest;
mod marker;
mod object;
mod operator;
mod plane;
mod request;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use cde_sandbox::cde::Sandbox;
use cde_sandbox::control_plane::AuditEvent;
use cde_sandbox::process::{ScratchDir, scratch_dir};
use cde_sandbox::proxy::Proxy;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use manifest::{Manifest, from_now, in_an_hour, restore, rollback};
pub(crate) use object::{Kind, Object};
pub(crate) use operator::{Flags, Operator};
use plane::OPERATOR_NAMESPACE;
pub(crate) use plane::Plane;
pub(crate) use request::Request;

/// Longer than anything takes on a busy machine; what does not come by then does not come.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// One test's world; everything in it ends with it.
pub(crate) struct World {
    pub(crate) plane: Plane,
    pub(crate) sandbox: Sandbox,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) scratch: ScratchDir,
}

impl World {
    /// A world without an operator yet.
    pub(crate) async fn new() -> Self {
        Self::on(Plane::shared().await).await
    }

    /// The same, on this control plane.
    pub(crate) async fn on(plane: Plane) -> Self {
        let client = plane.admin().await.expect("an admin client");
        let namespace = format!("test-{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        plane.kubectl_ok(&["create", "namespace", &namespace], "").await.expect("a namespace");
        let sandbox = Sandbox::start().await.expect("a sandbox");
        let scratch = scratch_dir().expect("a scratch directory");
        std::fs::write(scratch.path().join("token"), sandbox.token()).expect("a token file");
        Self { plane, sandbox, namespace, client, scratch }
    }

    /// A world with a running operator.
    pub(crate) async fn with_operator() -> (Self, Operator) {
        let world = Self::new().await;
        let operator = world.start(Flags::default()).await;
        (world, operator)
    }

    /// Starts an operator that watches this world's namespace, and waits until it is ready.
    pub(crate) async fn start(&self, flags: Flags) -> Operator {
        let kubeconfig = self.kubeconfig(None).await;
        Operator::start(self, &kubeconfig, flags).await
    }

    /// The same, with `proxy` between it and the API server.
    pub(crate) async fn start_behind(&self, proxy: &Proxy, flags: Flags) -> Operator {
        let kubeconfig = self.kubeconfig(Some(proxy.url())).await;
        Operator::start(self, &kubeconfig, flags).await
    }

    /// A kubeconfig with the rights of the manifests, and no more.
    pub(crate) async fn kubeconfig(&self, server: Option<&str>) -> PathBuf {
        let account = self.plane.service_account(OPERATOR_NAMESPACE, "cde-operator", server).await;
        account.expect("a token of the operator's service account")
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.scratch.path().join("token")
    }

    pub(crate) fn rollbacks(&self) -> Api<MigrationRollback> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn restores(&self) -> Api<ConnectorRestore> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a manifest with kubectl, as a user does.
    pub(crate) async fn apply(&self, manifest: &Manifest) {
        self.kubectl(&["apply", "-f", "-"], &manifest.yaml()).await;
    }

    /// Applies several manifests at once.
    pub(crate) async fn apply_all(&self, manifests: impl IntoIterator<Item = Manifest>) {
        let documents: Vec<String> = manifests.into_iter().map(|manifest| manifest.yaml()).collect();
        self.kubectl(&["apply", "-f", "-"], &documents.join("\n---\n")).await;
    }

    /// The words of an API server that refuses the manifest.
    pub(crate) async fn refusal(&self, manifest: &Manifest) -> String {
        let applied = self.try_kubectl(&["apply", "-f", "-"], &manifest.yaml()).await;
        match applied {
            Ok(output) => panic!("the API server took it: {output}\n{}", manifest.yaml()),
            Err(refusal) => refusal,
        }
    }

    /// Runs kubectl in this world's namespace.
    pub(crate) async fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        self.try_kubectl(args, stdin).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn try_kubectl(&self, args: &[&str], stdin: &str) -> Result<String, String> {
        let all: Vec<&str> = ["-n", &self.namespace].into_iter().chain(args.iter().copied()).collect();
        self.plane.kubectl_ok(&all, stdin).await.map_err(|error| format!("{error:#}"))
    }

    /// Waits until the object looks as `condition` wants it.
    pub(crate) async fn until<K>(&self, name: &str, what: &str, condition: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let begun = Instant::now();
        loop {
            let object = api.get_opt(name).await.expect("the API server answers");
            if let Some(object) = object.as_ref().filter(|object| condition(object)) {
                return object.clone();
            }
            assert!(begun.elapsed() < LIMIT, "{name} is not {what} after {LIMIT:?}: {object:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the request has this reason, and checks its status as [`World::reaches`] does.
    pub(crate) async fn comes_to(&self, request: &Request, reason: &str) -> Object {
        self.reaches(request.kind, &request.name, reason).await
    }

    /// Waits for the reason of a rollback's condition Ready.
    pub(crate) async fn rollback_is(&self, name: &str, reason: &str) -> MigrationRollback {
        self.until::<MigrationRollback>(name, reason, |object| {
            object.status.as_ref().and_then(|status| status.reason).is_some_and(|it| it.as_str() == reason)
        })
        .await
    }

    /// Waits for the reason of a restore's condition Ready.
    pub(crate) async fn restore_is(&self, name: &str, reason: &str) -> ConnectorRestore {
        self.until::<ConnectorRestore>(name, reason, |object| {
            object.status.as_ref().and_then(|status| status.reason).is_some_and(|it| it.as_str() == reason)
        })
        .await
    }

    /// Asks for another attempt.
    pub(crate) async fn annotate_retry(&self, resource: &str, name: &str, value: &str) {
        let annotation = format!("cde.productsup.com/retry={value}");
        self.kubectl(&["annotate", resource, name, &annotation, "--overwrite"], "").await;
    }

    /// Merges `change` into the spec.
    pub(crate) async fn edit<K>(&self, name: &str, change: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let patch = Patch::Merge(json!({ "spec": change }));
        api.patch(name, &PatchParams::default(), &patch).await.expect("the edit is accepted")
    }

    /// The Events about an object, oldest first: type, reason, note.
    pub(crate) async fn events(&self, name: &str) -> Vec<(String, String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.expect("Events").items;
        events.retain(|event| event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some(name)));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let text = |text: Option<String>| text.unwrap_or_default();
        events.into_iter().map(|event| (text(event.type_), text(event.reason), text(event.note))).collect()
    }

    /// Waits until there are `count` Events about an object.
    pub(crate) async fn until_events(&self, name: &str, count: usize) -> Vec<(String, String, String)> {
        let begun = Instant::now();
        loop {
            let events = self.events(name).await;
            if events.len() >= count {
                return events;
            }
            assert!(begun.elapsed() < LIMIT, "{count} Events about {name} have not come: {events:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// What the API server was asked about an object of this namespace by the operator, reads and watches apart.
    pub(crate) fn operator_writes(&self, name: &str) -> Vec<AuditEvent> {
        let mut all = self.plane.audit().expect("the audit log");
        all.retain(|event| {
            event.namespace == self.namespace
                && event.user.ends_with(":cde-operator")
                && !matches!(event.verb.as_str(), "get" | "list" | "watch")
                && event.name.starts_with(name)
        });
        all
    }
}
