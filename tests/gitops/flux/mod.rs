//! Flux: source-controller and kustomize-controller.

mod brake;
mod outage;
mod replaced;
mod scenarios;
mod suspension;

use std::process::Command;
use std::time::Instant;

use cde_harness::{Flags, Manifest, Operator, POLL, Request, TestEnv};
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::controllers;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::controller::{Controllers, LIMIT, built, eventually, own_address};
use crate::git::Repository;
use crate::kubernetes::{cluster, install_crds, test_env};

/// The label that chooses a kustomize-controller, as Flux's documentation of sharding has it.
const SHARD: &str = "sharding.fluxcd.io/key";
/// The shard whose controller cancels a wait when there is a new revision.
const CANCELS: &str = "cancels";
/// The name of each test's source.
const SOURCE: &str = "connectors";

/// Returns Flux on the cluster of these tests. The first test starts it.
async fn flux() -> &'static Controllers {
    static FLUX: OnceCell<Controllers> = OnceCell::const_new();
    FLUX.get_or_init(|| async {
        let programs = built(controllers::flux).await;
        for crds in &programs.crds {
            install_crds(&["-f", &crds.display().to_string()]).await;
        }
        start(&programs, cluster().await)
    })
    .await
}

fn start(programs: &controllers::Flux, servers: &ControlPlane) -> Controllers {
    let flux = Controllers::new();
    let common = |mut command: Command| {
        command
            .args(["--health-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--concurrent=20"])
            .env("KUBECONFIG", servers.kubeconfig())
            .env("RUNTIME_NAMESPACE", "flux-system");
        command
    };
    let storage = format!("{}:9090", own_address());
    let mut source = Command::new(&programs.source_controller);
    source
        .arg(format!("--storage-path={}", flux.scratch.path().display()))
        .arg(format!("--storage-addr={storage}"))
        .arg(format!("--storage-adv-addr={storage}"));
    flux.start("source-controller", common(source));
    let mut kustomize = Command::new(&programs.kustomize_controller);
    kustomize.arg(format!("--watch-label-selector=!{SHARD}"));
    flux.start("kustomize-controller", common(kustomize));
    let mut cancels = Command::new(&programs.kustomize_controller);
    cancels
        .arg(format!("--watch-label-selector={SHARD}={CANCELS}"))
        .arg("--feature-gates=CancelHealthCheckOnNewRevision=true");
    flux.start("kustomize-controller-cancels", common(cancels));
    flux
}

/// One test's repository, namespace, simulated CDE API and operator.
pub(crate) struct Scene {
    pub(crate) env: TestEnv,
    pub(crate) repository: Repository,
    _operator: Operator,
    flux: &'static Controllers,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let flux = flux().await;
        let env = test_env().await;
        let operator = env.start(Flags::fast_retries()).await;
        let repository = Repository::new().await;
        let scene = Self { env, repository, _operator: operator, flux };
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": SOURCE},
            "spec": {"url": scene.repository.url, "ref": {"branch": "main"}, "interval": "1h"},
        });
        scene.create("GitRepository", &source).await;
        scene
    }

    /// Makes a Kustomization of a directory of the repository; `spec` adds to what all of them have.
    pub(crate) async fn kustomization(&self, name: &str, spec: Value) {
        self.kustomization_of(name, json!({}), spec).await;
    }

    /// As [`Self::kustomization`], for the controller that cancels a wait when there is a new revision.
    async fn kustomization_that_cancels(&self, name: &str, spec: Value) {
        self.kustomization_of(name, json!({SHARD: CANCELS}), spec).await;
    }

    async fn kustomization_of(&self, name: &str, labels: Value, spec: Value) {
        let mut all = json!({
            "sourceRef": {"kind": "GitRepository", "name": SOURCE},
            "path": format!("./{name}"),
            "targetNamespace": self.env.namespace,
            "interval": "1h",
            "prune": true,
        });
        for (field, value) in spec.as_object().expect("a spec") {
            all[field] = value.clone();
        }
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "labels": labels},
            "spec": all,
        });
        self.create("Kustomization", &kustomization).await;
    }

    async fn create(&self, kind: &str, object: &Value) {
        let object = serde_json::from_value(object.clone()).expect("an object");
        self.api(kind).create(&PostParams::default(), &object).await.expect("it is created");
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let group = if kind == "GitRepository" { "source" } else { "kustomize" };
        let kind = GroupVersionKind::gvk(&format!("{group}.toolkit.fluxcd.io"), "v1", kind);
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(self.env.client.clone(), &self.env.namespace, &resource)
    }

    async fn get(&self, kind: &str, name: &str) -> Value {
        self.flux.assert_running();
        let object = self.api(kind).get(name).await.expect("it is there");
        serde_json::to_value(object).expect("JSON")
    }

    /// Merges `change` into an object of Flux.
    async fn change(&self, kind: &str, name: &str, change: Value) {
        let changed = self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
        changed.expect("it is changed");
    }

    /// Asks Flux to look again now, as `flux reconcile` does.
    async fn annotate(&self, kind: &str, name: &str) -> String {
        let token = uuid::Uuid::new_v4().to_string();
        let annotations = json!({"reconcile.fluxcd.io/requestedAt": token});
        self.change(kind, name, json!({"metadata": {"annotations": annotations}})).await;
        token
    }

    /// Writes the manifest of a request to the repository.
    fn write(&self, directory: &str, request: &Request, manifest: &Manifest) {
        self.repository.write(&format!("{directory}/{}.yaml", request.name), &manifest.yaml());
    }

    /// Commits, and returns the revision once source-controller has fetched it.
    pub(crate) async fn push(&self, message: &str) -> String {
        let revision = format!("main@sha1:{}", self.repository.commit(message).await);
        self.annotate("GitRepository", SOURCE).await;
        eventually("the source is fetched", async || {
            let source = self.get("GitRepository", SOURCE).await;
            (source["status"]["artifact"]["revision"] == json!(revision)).then_some(())
        })
        .await;
        revision
    }

    /// Runs a Kustomization once more and waits for the end of that run, health checks included.
    pub(crate) async fn reconcile(&self, name: &str) -> Value {
        let token = self.annotate("Kustomization", name).await;
        self.until(name, "reconciled", |kustomization| {
            kustomization["status"]["lastHandledReconcileAt"] == json!(token)
        })
        .await
    }

    /// Waits until this holds of a Kustomization.
    async fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let kustomization = self.get("Kustomization", name).await;
            if holds(&kustomization) {
                return kustomization;
            }
            assert!(begun.elapsed() < LIMIT, "{name} is not {what}: {:#}", kustomization["status"]);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a Kustomization has applied this revision and found all of it healthy.
    pub(crate) async fn until_ready(&self, name: &str, revision: &str) -> Value {
        self.until(name, "ready", |kustomization| {
            kustomization["status"]["lastAppliedRevision"] == json!(revision)
                && condition(kustomization, "Ready")["status"] == "True"
        })
        .await
    }

    /// Deletes an object of Flux and waits until Flux has let go of it.
    async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.expect("it is deleted");
        let gone = async || self.api(kind).get_opt(name).await.expect("an answer").is_none().then_some(());
        eventually(&format!("{name} is gone"), gone).await;
    }

    /// Waits until Flux has deleted a `ConfigMap` that it had applied.
    async fn until_config_map_is_gone(&self, name: &str) {
        let maps: Api<ConfigMap> = Api::namespaced(self.env.client.clone(), &self.env.namespace);
        let gone = async || maps.get_opt(name).await.expect("an answer").is_none().then_some(());
        eventually(&format!("{name} is gone"), gone).await;
    }
}

/// Returns a condition of an object; null where it has none of that type.
fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind)["message"].as_str().unwrap_or_default()
}
