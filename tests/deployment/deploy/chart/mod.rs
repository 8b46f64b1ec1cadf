//! The Helm chart of `deploy/chart`, by the real helm.

mod kustomize;
mod life;
mod operator;
mod program;
mod render;
mod rights;
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

/// helm with a home of its own, and with nothing of ours.
struct Helm {
    program: PathBuf,
    home: ScratchDir,
    kubeconfig: PathBuf,
}

impl Helm {
    /// Without a cluster.
    async fn new() -> Self {
        let program = tools().await.helm.clone();
        let home = scratch_dir().unwrap();
        let kubeconfig = home.path().join("none");
        Self { program, home, kubeconfig }
    }

    /// As the administrator of this cluster.
    async fn of(control_plane: &ControlPlane) -> Self {
        Self { kubeconfig: control_plane.kubeconfig(), ..Self::new().await }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it prints, or how it complains.
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

    /// The same, where it must not complain.
    async fn ok(&self, args: &[&str], values: &Value) -> String {
        self.run(args, values).await.unwrap_or_else(|error| panic!("helm {}: {error}", args.join(" ")))
    }

    /// The chart's objects as text.
    async fn yaml(&self, release: &str, values: &Value) -> Result<String, String> {
        self.run(&["template", release, &path("deploy/chart"), "-n", OPERATOR_NAMESPACE], values).await
    }

    async fn template(&self, values: &Value) -> Objects {
        let yaml = self.yaml(RELEASE, values).await.unwrap_or_else(|error| panic!("{values}: {error}"));
        Objects(serde_saphyr::from_multiple(&yaml).unwrap())
    }
}

/// The objects of these values, in the namespace of the manifests.
async fn rendered(values: &Value) -> Objects {
    Helm::new().await.template(values).await
}

/// What helm made of the chart.
struct Objects(Vec<Value>);

impl Objects {
    fn of(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    fn only(&self, kind: &str) -> &Value {
        let all = self.of(kind);
        assert_eq!(all.len(), 1, "of {kind} there is not exactly one: {all:#?}");
        all[0]
    }

    fn named(&self, kind: &str, name: &str) -> &Value {
        let found = self.of(kind).into_iter().find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]
    }

    fn container(&self) -> &Value {
        &self.pod()["spec"]["containers"][0]
    }

    /// All flags that are set, by name.
    fn flags(&self) -> BTreeMap<String, String> {
        program::set_by(program::variables(self.container()))
    }
}

/// What must be given, and these.
fn values(more: Value) -> Value {
    let mut values =
        json!({"cde": {"url": "https://cde.example.com", "token": {"secret": "cde-operator-token"}}});
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

/// Every value, and none as it is by default.
fn everything() -> Value {
    serde_saphyr::from_str(include_str!("everything.yaml")).unwrap()
}

/// What teams choose.
fn choices() -> Vec<(&'static str, Value)> {
    vec![
        ("as little as can be", values(json!({}))),
        ("everything", everything()),
        ("namespaced", values(json!({"namespaces": ["connectors"], "crds": {"install": false}}))),
        ("two replicas", values(json!({"replicas": 2, "networkPolicy": {"enabled": true}}))),
        ("a pod monitor", values(json!({"metrics": {"podMonitor": {"enabled": true}}}))),
        ("roots in a secret", values(json!({"cde": {"ca": {"secret": "roots"}}}))),
        (
            "rights of others",
            values(json!({
                "rbac": {"create": false}, "serviceAccount": {"create": false, "name": "given"},
                "leaderElection": false,
            })),
        ),
    ]
}
