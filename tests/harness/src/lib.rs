//! What the operator's test programs share. A [`TestEnv`] gives each test a namespace, a simulated CDE API and
//! operators that watch that namespace, on a control plane that the tests of a program share.
//!
//! A function fails the test, with a message, if something is missing or does not happen within [`LIMIT`].

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "only tests use this crate, and they panic on unexpected results"
)]

mod control_plane;
mod drop;
mod login;
mod manifest;
mod object;
mod operator;
mod request;
mod settle;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cde_sandbox::cde::Sandbox;
use cde_sandbox::control_plane::{AuditEvent, AuditReader, OPERATOR_NAMESPACE};
use cde_sandbox::process::{ScratchDir, scratch_dir};
use cde_sandbox::proxy::Proxy;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};

pub use control_plane::{ControlPlane, SHARED, SharedControlPlane, property};
pub use login::{LoginEnv, SECRET, exposed, login_of};
pub use manifest::{Manifest, from_now, in_an_hour, restore, rollback};
pub use object::{Kind, Object};
pub use operator::{Flags, Operator, command, command_of, operator_program};
pub use request::Request;

/// Longer than anything takes on a busy machine. What has not happened by then does not happen.
pub const LIMIT: Duration = Duration::from_mins(1);
/// The pause between two checks of an awaited condition.
pub const POLL: Duration = Duration::from_millis(50);

/// The environment of one test. Everything in it ends with it.
pub struct TestEnv {
    /// The API server and its etcd.
    pub control_plane: ControlPlane,
    /// The simulated CDE API.
    pub sandbox: Sandbox,
    /// This test's own namespace.
    pub namespace: String,
    /// The administrator's client.
    pub client: Client,
    /// Holds the token file and the logs of the operators.
    pub scratch: ScratchDir,
    audit: Mutex<AuditReader>,
}

impl TestEnv {
    /// Creates an environment without an operator, on the shared control plane.
    pub async fn new() -> Self {
        Self::on(ControlPlane::Shared(SHARED.get().await)).await
    }

    /// Creates an environment without an operator, on `control_plane`.
    pub async fn on(control_plane: ControlPlane) -> Self {
        Self::with(control_plane, Sandbox::start().await.expect("a sandbox")).await
    }

    /// Creates an environment without an operator, with this simulated CDE API.
    pub async fn with(control_plane: ControlPlane, sandbox: Sandbox) -> Self {
        let client = control_plane.admin().await.expect("an admin client");
        let namespace = format!("test-{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        let audit = Mutex::new(control_plane.audit_reader(&namespace).expect("the audit log"));
        create_namespace(&client, &namespace).await;
        let scratch = scratch_dir().expect("a scratch directory");
        std::fs::write(scratch.path().join("token"), sandbox.token()).expect("a token file");
        Self { control_plane, sandbox, namespace, client, scratch, audit }
    }

    /// Creates an environment with a running operator.
    pub async fn with_operator() -> (Self, Operator) {
        let env = Self::new().await;
        let operator = env.start(Flags::default()).await;
        (env, operator)
    }

    /// Creates an environment with a running operator that retries soon (see [`Flags::fast_retries`]).
    pub async fn with_fast_retries() -> (Self, Operator) {
        let env = Self::new().await;
        let operator = env.start(Flags::fast_retries()).await;
        (env, operator)
    }

    /// Starts an operator that watches this environment's namespace and waits until it is ready.
    pub async fn start(&self, flags: Flags) -> Operator {
        let kubeconfig = self.kubeconfig(None).await;
        Operator::start(self, &kubeconfig, flags).await
    }

    /// As [`Self::start`], with the permissions of another account.
    pub async fn start_as(&self, kubeconfig: &Path, flags: Flags) -> Operator {
        Operator::start(self, kubeconfig, flags).await
    }

    /// As [`Self::start`], with `proxy` between the operator and the API server.
    pub async fn start_behind(&self, proxy: &Proxy, flags: Flags) -> Operator {
        let kubeconfig = self.kubeconfig(Some(proxy.url())).await;
        Operator::start(self, &kubeconfig, flags).await
    }

    /// Writes a kubeconfig with the permissions of the manifests. `server` replaces the URL of the API server.
    pub async fn kubeconfig(&self, server: Option<&str>) -> PathBuf {
        let account = self.control_plane.service_account(OPERATOR_NAMESPACE, "cde-operator", server).await;
        account.expect("a token of the operator's service account")
    }

    /// Returns the file from which the operators read their token.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.scratch.path().join("token")
    }

    /// Applies a manifest with kubectl, as a user does.
    pub async fn apply(&self, manifest: &Manifest) {
        self.kubectl(&["apply", "-f", "-"], &manifest.yaml()).await;
    }

    /// Applies several manifests at once.
    pub async fn apply_all(&self, manifests: impl IntoIterator<Item = Manifest>) {
        let documents: Vec<String> = manifests.into_iter().map(|manifest| manifest.yaml()).collect();
        self.kubectl(&["apply", "-f", "-"], &documents.join("\n---\n")).await;
    }

    /// Runs kubectl in this environment's namespace and returns its output.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        self.try_kubectl(args, stdin).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Self::kubectl`], where kubectl may fail.
    ///
    /// # Errors
    /// If kubectl fails: its standard error.
    pub async fn try_kubectl(&self, args: &[&str], stdin: &str) -> Result<String, String> {
        let all: Vec<&str> = ["-n", &self.namespace].into_iter().chain(args.iter().copied()).collect();
        self.control_plane.kubectl_ok(&all, stdin).await.map_err(|error| format!("{error:#}"))
    }

    /// Returns the Events about an object, oldest first: type, reason, note.
    pub async fn events(&self, name: &str) -> Vec<(String, String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.expect("Events").items;
        events.retain(|event| event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some(name)));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let text = |text: Option<String>| text.unwrap_or_default();
        events.into_iter().map(|event| (text(event.type_), text(event.reason), text(event.note))).collect()
    }

    /// Waits until there are `count` Events about an object.
    pub async fn until_events(&self, name: &str, count: usize) -> Vec<(String, String, String)> {
        let begun = Instant::now();
        loop {
            let events = self.events(name).await;
            if events.len() >= count {
                return events;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "timed out waiting for {count} Events about {name}: {events:#?}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the requests about this namespace that the API server has answered so far.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditEvent> {
        let mut audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        audit.events().expect("the audit log").to_vec()
    }

    /// Returns the operator's requests to the API server about an object of this namespace, without reads and watches.
    #[must_use]
    pub fn operator_writes(&self, name: &str) -> Vec<AuditEvent> {
        let mut all = self.audit();
        all.retain(|event| {
            event.user.ends_with(":cde-operator")
                && !matches!(event.verb.as_str(), "get" | "list" | "watch")
                && event.name.starts_with(name)
        });
        all
    }
}

async fn create_namespace(client: &Client, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
    created.expect("a namespace");
}
