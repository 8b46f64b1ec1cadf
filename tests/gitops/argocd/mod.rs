//! Argo CD: repo-server, application-controller, the server of its command line and UI, and Redis.

mod actions;
mod brake;
mod install;
mod outage;
mod replaced;
mod scenarios;
mod settings;

use std::fs;
use std::time::Instant;

use cde_harness::{Flags, Kind, Manifest, Operator, POLL, Request, TestEnv};
use cde_sandbox::program::workspace;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use self::install::{ArgoCd, argocd};
use crate::controller::{Controllers, LIMIT, eventually};
use crate::git::Repository;
use crate::kubernetes::test_env;

/// One test's repository, namespace, simulated CDE API and operator.
struct Scene {
    env: TestEnv,
    repository: Repository,
    _operator: Operator,
    // The namespace's installation, and its processes.
    installation: &'static ArgoCd,
    argocd: &'static Controllers,
}

impl Scene {
    async fn new() -> Self {
        Self::on(argocd().await).await
    }

    async fn on(installation: &'static ArgoCd) -> Self {
        let env = test_env().await;
        let operator = env.start(Flags::fast_retries()).await;
        let repository = Repository::new().await;
        Self { env, repository, _operator: operator, installation, argocd: &installation.controllers }
    }

    fn api(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
        Api::namespaced_with(
            self.env.client.clone(),
            self.installation.namespace,
            &ApiResource::from_gvk(&kind),
        )
    }

    /// The name of an Application; all tests share a namespace for them.
    fn name(&self, application: &str) -> String {
        format!("{}-{application}", self.env.namespace)
    }

    /// Makes an Application of a directory of the repository.
    async fn application(&self, name: &str, policy: Value) {
        self.application_in(&self.env.namespace, name, policy).await;
    }

    /// As [`Self::application`], for objects in another namespace.
    async fn application_in(&self, namespace: &str, name: &str, policy: Value) {
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": self.name(name),
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            },
            "spec": {
                "project": "default",
                "source": {"repoURL": self.repository.url, "path": name, "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
                "syncPolicy": policy,
            },
        });
        let application = serde_json::from_value(application).expect("an object");
        self.api().create(&PostParams::default(), &application).await.expect("it is created");
    }

    async fn change(&self, name: &str, change: Value) {
        let merge = Patch::Merge(change);
        let changed = self.api().patch(&self.name(name), &PatchParams::default(), &merge).await;
        changed.expect("it is changed");
    }

    /// Starts a sync, as `argocd app sync` does, and returns who started it.
    async fn start_sync(&self, name: &str, sync: Value) -> String {
        let user = uuid::Uuid::new_v4().to_string();
        self.change(name, json!({"operation": {"initiatedBy": {"username": user}, "sync": sync}})).await;
        user
    }

    /// Runs a sync to its end, whatever that is, and returns the Application.
    async fn sync(&self, name: &str) -> Value {
        self.sync_with(name, json!({})).await
    }

    async fn sync_with(&self, name: &str, sync: Value) -> Value {
        let begun = Instant::now();
        loop {
            let user = self.start_sync(name, sync.clone()).await;
            let application = self.until(name, "synced", |it| it["operation"].is_null()).await;
            // An automated sync that began at the same moment has replaced this one.
            if application["status"]["operationState"]["operation"]["initiatedBy"]["username"] == json!(user)
            {
                return application;
            }
            assert!(begun.elapsed() < LIMIT, "{name} has other syncs all the time");
        }
    }

    async fn get(&self, name: &str) -> Value {
        self.argocd.assert_running();
        let object = self.api().get(&self.name(name)).await.expect("it is there");
        serde_json::to_value(object).expect("JSON")
    }

    /// Waits until this holds of an Application.
    async fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let application = self.get(name).await;
            if holds(&application) {
                return application;
            }
            let log = || self.argocd.tail("argocd-application-controller", &self.env.namespace);
            assert!(begun.elapsed() < LIMIT, "{name} is not {what}: {:#}\n{}", application["status"], log());
            tokio::time::sleep(POLL).await;
        }
    }

    async fn until_health(&self, name: &str, health: &str) -> Value {
        self.until(name, health, |it| it["status"]["health"]["status"] == health).await
    }

    /// Asks for a refresh until the health is this: changed settings reach the controller with a delay, and by itself it
    /// applies them at the next reconciliation of the Application, up to three minutes later.
    async fn refresh_until_health(&self, name: &str, health: &str) {
        let refreshed = async || {
            self.refresh(name).await;
            let refresh = "/metadata/annotations/argocd.argoproj.io~1refresh";
            let application = self.until(name, "refreshed", |it| it.pointer(refresh).is_none()).await;
            (application["status"]["health"]["status"] == health).then_some(())
        };
        eventually(&format!("{name} is {health}"), refreshed).await;
    }

    /// Asks Argo CD to look at Git again, and waits until it has compared this revision.
    async fn push(&self, message: &str, applications: &[&str]) -> String {
        let revision = self.repository.commit(message).await;
        for name in applications {
            self.refresh(name).await;
            self.until(name, "compared", |it| it["status"]["sync"]["revision"] == json!(revision)).await;
        }
        revision
    }

    async fn refresh(&self, name: &str) {
        self.change(name, json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}))
            .await;
    }

    /// Writes the manifest of a request to the repository.
    fn write(&self, directory: &str, request: &Request, manifest: &Manifest) {
        self.repository.write(&format!("{directory}/{}.yaml", request.name), &manifest.yaml());
    }

    /// Deletes an Application with all that it has applied, and waits for it.
    async fn delete(&self, name: &str) {
        let name = self.name(name);
        self.api().delete(&name, &DeleteParams::default()).await.expect("it is deleted");
        let gone = async || self.api().get_opt(&name).await.expect("an answer").is_none().then_some(());
        eventually(&format!("{name} is gone"), gone).await;
    }

    /// A rollback in the repository that succeeds.
    fn rollback(&self, directory: &str, what: &str, change: impl Fn(Manifest) -> Manifest) -> Request {
        let request = self.env.request(Kind::Rollback, what, cde_sandbox::cde::Fault::default());
        self.write(directory, &request, &change(request.manifest()));
        request
    }
}

/// A policy that applies each commit, removes what is gone from Git, and reverts other changes.
fn automated() -> Value {
    json!({"automated": {"prune": true, "selfHeal": true}})
}

/// The policy of the sample in `deploy/argocd`.
fn sample() -> Value {
    let file = workspace().join("deploy/argocd/application.yaml");
    let sample: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    sample["spec"]["syncPolicy"].clone()
}

fn config_map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string()
}
