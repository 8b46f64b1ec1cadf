//! Installations of Argo CD on the cluster of these tests.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::program::workspace;
use cde_sandbox::{controllers, process};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::controller::{Controllers, built, eventually, own_address};
use crate::kubernetes::{cluster, install_crds};

/// One installation, in a namespace of its own.
#[derive(Debug)]
pub(super) struct ArgoCd {
    pub(super) namespace: &'static str,
    pub(super) controllers: Controllers,
    program: PathBuf,
    server: String,
}

/// Returns Argo CD with the scripts of `deploy/argocd`. The first test starts it.
pub(super) async fn argocd() -> &'static ArgoCd {
    static ARGOCD: OnceCell<ArgoCd> = OnceCell::const_new();
    ARGOCD.get_or_init(|| installed("argocd")).await
}

/// Returns one more, for the test that changes its settings.
pub(super) async fn another() -> &'static ArgoCd {
    static ANOTHER: OnceCell<ArgoCd> = OnceCell::const_new();
    ANOTHER.get_or_init(|| installed("argocd-other")).await
}

async fn installed(namespace: &'static str) -> ArgoCd {
    let programs = built(controllers::argocd).await;
    let servers = cluster().await;
    install_crds(&["-k", &programs.crds.display().to_string()]).await;
    let kubectl = async |args: &[&str], stdin: &str| {
        servers.kubectl_ok(args, stdin).await.unwrap_or_else(|error| panic!("{error:#}"));
    };
    kubectl(&["create", "namespace", namespace], "").await;
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": objects()}).to_string();
    kubectl(&["-n", namespace, "apply", "-f", "-"], &objects).await;
    // As deploy/argocd/README.md has it.
    let scripts = scripts().display().to_string();
    kubectl(&["-n", namespace, "patch", "configmap", "argocd-cm", "--patch-file", &scripts], "").await;
    let argocd = start(namespace, programs, servers);
    eventually("an answer of Argo CD's server", async || argocd.cli(&["version"]).await.ok()).await;
    argocd
}

/// Returns the file with the scripts.
pub(super) fn scripts() -> PathBuf {
    workspace().join("deploy/argocd/argocd-cm.yaml")
}

/// Returns the settings of an Argo CD that nobody has changed.
pub(super) fn settings() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
    })
}

fn objects() -> Vec<Value> {
    let labels = json!({"app.kubernetes.io/part-of": "argocd"});
    vec![
        settings(),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-rbac-cm", "labels": labels}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret", "labels": labels},
            "stringData": {"server.secretkey": uuid::Uuid::new_v4()}}),
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "default"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}}),
    ]
}

fn start(namespace: &'static str, programs: controllers::ArgoCd, servers: &ControlPlane) -> ArgoCd {
    let argocd = Controllers::new();
    let scratch = argocd.scratch.path().to_owned();
    prepare(&scratch, namespace, servers);

    let redis_host = own_address().to_string();
    let mut redis = Command::new(&programs.redis);
    redis
        .args(["--bind", &redis_host, "--port", "6379", "--protected-mode", "no"])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(&scratch);
    argocd.start("redis", redis);

    let host = own_address().to_string();
    let component = |name: &str| {
        let mut command = component(&programs.argocd, &scratch, name);
        command.args(["--redis", &format!("{redis_host}:6379")]);
        command
    };
    let of_repo_server = ["--repo-server", &format!("{host}:8081"), "--repo-server-plaintext"];
    let mut repo = component("argocd-repo-server");
    repo.args(["--address", &host, "--metrics-address", &host, "--disable-tls", "--client-ca-path="]);
    argocd.start("argocd-repo-server", repo);
    let mut controller = component("argocd-application-controller");
    // Its metrics listen on every address; port 0 is at least one that nobody else has.
    controller.args(of_repo_server).args(["--metrics-port", "0"]);
    argocd.start("argocd-application-controller", controller);
    let mut server = component("argocd-server");
    server
        .args(of_repo_server)
        .args(["--address", &host, "--metrics-address", &host, "--insecure", "--disable-auth"])
        .arg(format!("--staticassets={}", scratch.join("data").display()));
    argocd.start("argocd-server", server);
    ArgoCd { namespace, controllers: argocd, program: programs.argocd, server: format!("{host}:8080") }
}

/// Makes the files that the components share.
fn prepare(scratch: &Path, namespace: &str, servers: &ControlPlane) {
    let admin = fs::read(servers.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_slice(&admin).expect("JSON");
    config["contexts"][0]["context"]["namespace"] = json!(namespace);
    fs::write(scratch.join("kubeconfig"), config.to_string()).expect("a kubeconfig");
    for directory in ["home", "tmp", "data", "bin"] {
        fs::create_dir(scratch.join(directory)).expect("a directory");
    }
    // Argo CD's image has a script of this name that prints who signed a commit. Nobody signs these.
    let verify = scratch.join("bin/git-verify-wrapper.sh");
    fs::write(&verify, "#!/bin/sh\n").expect("a script");
    fs::set_permissions(&verify, Permissions::from_mode(0o700)).expect("a script");
}

/// Returns a command of Argo CD's one program: `name` says which component it is.
fn component(program: &Path, scratch: &Path, name: &str) -> Command {
    let path = format!("{}:{}", scratch.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command
        .current_dir(scratch)
        .env("ARGOCD_BINARY_NAME", name)
        .env("ARGOCD_FAKE_IN_CLUSTER", "true")
        .env("ARGOCD_GPG_ENABLED", "false")
        .env("KUBECONFIG", scratch.join("kubeconfig"))
        .env("HOME", scratch.join("home"))
        .env("PATH", &path)
        .env("TMPDIR", scratch.join("tmp"));
    for path in ["TLS_DATA_PATH", "SSH_DATA_PATH", "GPG_DATA_PATH", "GNUPGHOME", "PLUGINSOCKFILEPATH"] {
        command.env(format!("ARGOCD_{path}"), scratch.join("data"));
    }
    command
}

impl ArgoCd {
    /// Runs `argocd` against the server, which asks nobody who they are.
    ///
    /// # Errors
    /// With what it printed, if it fails.
    pub(super) async fn cli(&self, args: &[&str]) -> Result<String, String> {
        self.controllers.assert_running();
        let mut command = component(&self.program, self.controllers.scratch.path(), "argocd");
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env_remove(proxy);
        }
        command.args(args).args(["--server", &self.server, "--plaintext"]);
        let output = process::output(command, b"").await.expect("argocd");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{}{}", text(&output.stdout), text(&output.stderr)))
        }
    }
}
