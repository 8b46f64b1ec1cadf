//! The world of one test: a namespace of its own, a CDE sandbox of its own, an operator of its own that watches
//! that namespace; and one control plane for all tests of the binary.

#![allow(dead_code, unused_imports, reason = "shared by several test binaries, none of which uses all of it")]

mod manifest;
mod marker;
mod object;
mod operator;
mod oracle;
mod plane;
mod request;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cde_sandbox::cde::Sandbox;
use cde_sandbox::control_plane::AuditEvent;
use cde_sandbox::process::{ScratchDir, scratch_dir};
use cde_sandbox::proxy::Proxy;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};

pub(crate) use manifest::{Manifest, from_now, in_an_hour, restore, rollback};
pub(crate) use object::{Kind, Object};
pub(crate) use operator::{Flags, Operator, command, command_of};
use plane::OPERATOR_NAMESPACE;
pub(crate) use plane::{Plane, property};
pub(crate) use request::Request;

/// Longer than anything takes on a busy machine; what does not come by then does not come.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
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

    /// A world with a running operator that soon repeats what fails.
    pub(crate) async fn brisk() -> (Self, Operator) {
        let world = Self::new().await;
        let operator = world.start(Flags::brisk()).await;
        (world, operator)
    }

    /// Starts an operator that watches this world's namespace, and waits until it is ready.
    pub(crate) async fn start(&self, flags: Flags) -> Operator {
        let kubeconfig = self.kubeconfig(None).await;
        Operator::start(self, &kubeconfig, flags).await
    }

    /// The same, with the rights of another account.
    pub(crate) async fn start_as(&self, kubeconfig: &Path, flags: Flags) -> Operator {
        Operator::start(self, kubeconfig, flags).await
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

    /// Applies a manifest with kubectl, as a user does.
    pub(crate) async fn apply(&self, manifest: &Manifest) {
        self.kubectl(&["apply", "-f", "-"], &manifest.yaml()).await;
    }

    /// Applies several manifests at once.
    pub(crate) async fn apply_all(&self, manifests: impl IntoIterator<Item = Manifest>) {
        let documents: Vec<String> = manifests.into_iter().map(|manifest| manifest.yaml()).collect();
        self.kubectl(&["apply", "-f", "-"], &documents.join("\n---\n")).await;
    }

    /// Runs kubectl in this world's namespace.
    pub(crate) async fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        self.try_kubectl(args, stdin).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn try_kubectl(&self, args: &[&str], stdin: &str) -> Result<String, String> {
        let all: Vec<&str> = ["-n", &self.namespace].into_iter().chain(args.iter().copied()).collect();
        self.plane.kubectl_ok(&all, stdin).await.map_err(|error| format!("{error:#}"))
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
