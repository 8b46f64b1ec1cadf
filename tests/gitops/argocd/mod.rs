//! Argo CD: repo-server and application-controller, with Redis.

mod brake;
mod outage;
mod replaced;
mod scenarios;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;

use cde_harness::{Flags, Kind, Manifest, Operator, POLL, Request, TestEnv};
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::controllers;
use cde_sandbox::program::workspace;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::controller::{Controllers, LIMIT, built, eventually, own_address};
use crate::git::Repository;
use crate::kubernetes::{cluster, install_crds, test_env};

const NAMESPACE: &str = "argocd";

/// Returns Argo CD on the cluster of these tests, with the scripts of `deploy/argocd`. The first test starts it.
async fn argocd() -> &'static Controllers {
    static ARGOCD: OnceCell<Controllers> = OnceCell::const_new();
    ARGOCD
        .get_or_init(|| async {
            let programs = built(controllers::argocd).await;
            let servers = cluster().await;
            install(&programs, servers).await;
            start(&programs, servers)
        })
        .await
}

async fn install(programs: &controllers::ArgoCd, servers: &ControlPlane) {
    let kubectl = async |args: &[&str], stdin: &str| {
        servers.kubectl_ok(args, stdin).await.unwrap_or_else(|error| panic!("{error:#}"));
    };
    install_crds(&["-k", &programs.crds.display().to_string()]).await;
    kubectl(&["create", "namespace", NAMESPACE], "").await;
    let labels = json!({"app.kubernetes.io/part-of": "argocd"});
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "labels": labels}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-rbac-cm", "labels": labels}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret", "labels": labels},
            "stringData": {"server.secretkey": uuid::Uuid::new_v4()}}),
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "default"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}}),
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl(&["-n", NAMESPACE, "apply", "-f", "-"], &list.to_string()).await;
    // As deploy/argocd/README.md has it.
    let scripts = workspace().join("deploy/argocd/argocd-cm.yaml").display().to_string();
    kubectl(&["-n", NAMESPACE, "patch", "configmap", "argocd-cm", "--patch-file", &scripts], "").await;
}

fn start(programs: &controllers::ArgoCd, servers: &ControlPlane) -> Controllers {
    let argocd = Controllers::new();
    let scratch = argocd.scratch.path().to_owned();
    let kubeconfig = scratch.join("kubeconfig");
    let admin = fs::read(servers.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_slice(&admin).expect("JSON");
    config["contexts"][0]["context"]["namespace"] = json!(NAMESPACE);
    fs::write(&kubeconfig, config.to_string()).expect("a kubeconfig");
    for directory in ["home", "tmp", "data", "bin"] {
        fs::create_dir(scratch.join(directory)).expect("a directory");
    }
    // Argo CD's image has a script of this name that prints who signed a commit. Nobody signs these.
    let verify = scratch.join("bin/git-verify-wrapper.sh");
    fs::write(&verify, "#!/bin/sh\n").expect("a script");
    fs::set_permissions(&verify, Permissions::from_mode(0o700)).expect("a script");
    let path = format!("{}:{}", scratch.join("bin").display(), std::env::var("PATH").unwrap_or_default());

    let redis_host = own_address().to_string();
    let redis = format!("{redis_host}:6379");
    let mut command = Command::new(&programs.redis);
    command
        .args(["--bind", &redis_host, "--port", "6379", "--protected-mode", "no"])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(&scratch);
    argocd.start("redis", command);

    let component = |name: &str| {
        let mut command = Command::new(&programs.argocd);
        command
            .current_dir(&scratch)
            .args(["--redis", &redis])
            .env("ARGOCD_BINARY_NAME", name)
            .env("ARGOCD_FAKE_IN_CLUSTER", "true")
            .env("ARGOCD_GPG_ENABLED", "false")
            .env("KUBECONFIG", &kubeconfig)
            .env("HOME", scratch.join("home"))
            .env("PATH", &path)
            .env("TMPDIR", scratch.join("tmp"));
        for path in ["TLS_DATA_PATH", "SSH_DATA_PATH", "GPG_DATA_PATH", "GNUPGHOME", "PLUGINSOCKFILEPATH"] {
            command.env(format!("ARGOCD_{path}"), scratch.join("data"));
        }
        command
    };
    let host = own_address().to_string();
    let mut repo = component("argocd-repo-server");
    repo.args(["--address", &host, "--metrics-address", &host, "--disable-tls", "--client-ca-path="]);
    argocd.start("argocd-repo-server", repo);
    let mut controller = component("argocd-application-controller");
    // Its metrics listen on every address; port 0 is at least one that nobody else has.
    controller.args([
        "--repo-server",
        &format!("{host}:8081"),
        "--repo-server-plaintext",
        "--metrics-port",
        "0",
    ]);
    argocd.start("argocd-application-controller", controller);
    argocd
}

/// One test's repository, namespace, simulated CDE API and operator.
struct Scene {
    env: TestEnv,
    repository: Repository,
    _operator: Operator,
    argocd: &'static Controllers,
}

impl Scene {
    async fn new() -> Self {
        let argocd = argocd().await;
        let env = test_env().await;
        let operator = env.start(Flags::fast_retries()).await;
        Self { env, repository: Repository::new().await, _operator: operator, argocd }
    }

    fn api(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
        Api::namespaced_with(self.env.client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind))
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
