//! The Helm chart in `deploy/chart`, rendered and installed by the real helm.

mod conventions;
mod kustomize;
mod life;
mod login;
mod metadata;
mod operator;
mod permissions;
mod program;
mod render;
mod server;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::process::{self, ScratchDir, scratch_dir};
use serde_json::{Value, json};

use crate::deploy::fixture::{OPERATOR_NAMESPACE, path};
use crate::tools::tools;

const RELEASE: &str = "cde-operator";

/// helm with a home directory and configuration of its own.
struct Helm {
    program: PathBuf,
    home: ScratchDir,
    kubeconfig: PathBuf,
}

impl Helm {
    /// Returns a helm without a cluster.
    async fn new() -> Self {
        let program = tools().await.helm.clone();
        let home = scratch_dir().unwrap();
        let kubeconfig = home.path().join("none");
        Self { program, home, kubeconfig }
    }

    /// Returns a helm that is the administrator of this cluster.
    async fn of(control_plane: &ControlPlane) -> Self {
        Self { kubeconfig: control_plane.kubeconfig(), ..Self::new().await }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns its output, or its error message.
    async fn run(&self, args: &[&str], values: &Value) -> Result<String, String> {
        let mut helm = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HELM_") {
                helm.env_remove(name);
            }
        }
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(name, self.home().join(name));
        }
        helm.env("HOME", self.home()).env("KUBECONFIG", &self.kubeconfig).args(args);
        if !values.is_null() {
            helm.args(["--values", "-"]);
        }
        let output = process::output(helm, values.to_string().as_bytes()).await.unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        if output.status.success() { Ok(out) } else { Err(format!("{out}{err}")) }
    }

    /// As [`Self::run`], where helm must succeed.
    async fn ok(&self, args: &[&str], values: &Value) -> String {
        self.run(args, values).await.unwrap_or_else(|error| panic!("helm {}: {error}", args.join(" ")))
    }

    /// Returns the chart's objects as text.
    async fn yaml(&self, release: &str, values: &Value) -> Result<String, String> {
        self.run(&["template", release, &path("deploy/chart"), "-n", OPERATOR_NAMESPACE], values).await
    }

    async fn template(&self, values: &Value) -> Objects {
        let yaml = self.yaml(RELEASE, values).await.unwrap_or_else(|error| panic!("{values}: {error}"));
        Objects(serde_saphyr::from_multiple(&yaml).unwrap())
    }
}

/// Returns the objects for these values, in the namespace of the manifests.
async fn rendered(values: &Value) -> Objects {
    Helm::new().await.template(values).await
}

/// The objects that helm rendered.
struct Objects(Vec<Value>);

impl Objects {
    fn of(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    fn only(&self, kind: &str) -> &Value {
        let all = self.of(kind);
        assert_eq!(all.len(), 1, "not exactly one {kind}: {all:#?}");
        all[0]
    }

    fn named(&self, kind: &str, name: &str) -> &Value {
        let found = self.of(kind).into_iter().find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]
    }

    fn container(&self) -> &Value {
        &self.pod()["spec"]["containers"][0]
    }

    /// Returns all flags that are set, by name.
    fn flags(&self) -> BTreeMap<String, String> {
        program::set_by(program::variables(self.container()))
    }
}

/// Returns the required values, and these.
fn values(more: Value) -> Value {
    let mut values = json!({
        "image": {"repository": "registry.example.com/cde-operator"},
        "cde": {"url": "https://cde.example.com", "token": {"secret": "cde-operator-token"}},
    });
    merge(&mut values, more);
    values
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// As [`values`], in login mode.
fn login(more: Value) -> Value {
    let mut values = json!({"image": {"repository": "registry.example.com/cde-operator"}, "cde": {"url": "https://cde.example.com", "oauth": {
        "secretName": "cde-operator-login",
        "clientId": "cde-operator",
        "tokenUrl": "https://login.example.com/oauth2/token",
        "authorizationUrl": "https://login.example.com/oauth2/authorize",
    }}});
    merge(&mut values, more);
    values
}

/// Returns every value of the file mode, each different from its default.
fn everything() -> Value {
    serde_saphyr::from_str(include_str!("everything.yaml")).unwrap()
}

/// Returns every value of the login mode, each different from its default.
fn everything_of_a_login() -> Value {
    let mut values = everything();
    values["cde"].as_object_mut().unwrap().remove("token");
    let login: Value = serde_saphyr::from_str(include_str!("login.yaml")).unwrap();
    merge(&mut values, login);
    values
}

/// Returns the chart's objects for each of the choices, by their names.
pub(crate) async fn every_rendering() -> Vec<(String, Vec<Value>)> {
    let helm = Helm::new().await;
    let mut all = Vec::new();
    for (what, values) in choices() {
        all.push((format!("the chart with {what}"), helm.template(&values).await.0));
    }
    all
}

/// Returns typical choices of a team.
fn choices() -> Vec<(&'static str, Value)> {
    vec![
        ("as little as possible", values(json!({}))),
        ("everything", everything()),
        ("a login", login(json!({}))),
        ("everything of a login", everything_of_a_login()),
        ("namespaced", values(json!({"namespaces": ["connectors"], "crds": {"enabled": false}}))),
        ("two replicas", values(json!({"replicaCount": 2, "networkPolicy": {"enabled": true}}))),
        ("a pod monitor", values(json!({"metrics": {"podMonitor": {"enabled": true}}}))),
        ("roots in a secret", values(json!({"cde": {"ca": {"secret": "roots"}}}))),
        ("openshift", login(json!({"networkPolicy": {"enabled": true, "preset": "openshift"}}))),
        (
            "cilium",
            login(json!({
                "networkPolicy": {"enabled": true, "preset": "cilium"},
                "cde": {"oauth": {"revocationUrl": "https://revoke.example.com:8443/revoke"}},
            })),
        ),
        (
            "addresses with cilium",
            values(json!({
                "cde": {"url": "https://[2001:db8::1]:8443"},
                "networkPolicy": {"enabled": true, "preset": "cilium", "apiServer": {"cidrs": ["10.0.0.1/32"]}},
            })),
        ),
        ("ingress only", values(json!({"networkPolicy": {"enabled": true, "ingressOnly": true}}))),
        (
            "two address families",
            values(json!({
                "listen": "[::]:8080", "networkPolicy": {"enabled": true},
                "metrics": {"serviceMonitor": {"enabled": true}, "service": {"ipFamilyPolicy": "PreferDualStack"}},
            })),
        ),
        (
            "permissions from elsewhere",
            values(json!({
                "rbac": {"create": false}, "serviceAccount": {"create": false, "name": "given"},
                "leaderElection": false,
            })),
        ),
    ]
}
