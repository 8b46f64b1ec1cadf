//! The chart and the kustomize base install the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cde_sandbox::process::{scratch_dir, spawn_logged};
use serde_json::{Value, json};

use super::{Objects, program, rendered, values};
use crate::deploy::components;
use crate::deploy::fixture::{self, eventually};

/// Returns the objects of the base with the URL of the chart, which the base does not have, and those of the chart.
async fn both() -> (Objects, Objects) {
    let mut base = Objects(fixture::rendered("deploy").await);
    let config = base.0.iter_mut().find(|object| object["kind"] == "ConfigMap").unwrap();
    let literals = config["data"].as_object_mut().unwrap();
    let url = literals.insert("CDE_URL".to_owned(), json!("https://cde.example.com"));
    assert_eq!(url, None, "the base calls somebody's CDE");
    (base, rendered(&values(json!({}))).await)
}

/// Removes the labels that name the tool. Those for aggregation stay, because they have a meaning.
fn without_tools(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        labels.retain(|key, _| key.starts_with("rbac.authorization.k8s.io/"));
    }
    object
}

#[tokio::test]
async fn accounts_roles_bindings_and_warnings_match_the_base() {
    let (base, chart) = both().await;
    let mut compared = 0;
    for kind in [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] {
        assert_eq!(chart.of(kind).len(), base.of(kind).len(), "{kind}");
        for object in base.of(kind) {
            let twin = chart.named(kind, object["metadata"]["name"].as_str().unwrap());
            assert_eq!(without_tools(twin), without_tools(object));
            compared += 1;
        }
    }
    assert_eq!(compared, 11);
}

#[tokio::test]
async fn the_pod_matches_the_base_except_for_the_source_of_its_configuration() {
    let (base, chart) = both().await;
    let spec_of = |objects: &Objects| {
        let mut spec = objects.pod()["spec"].clone();
        let container = spec["containers"][0].as_object_mut().unwrap();
        for told in ["args", "env", "envFrom", "image", "imagePullPolicy"] {
            container.remove(told);
        }
        spec
    };
    assert_eq!(spec_of(&chart), spec_of(&base));
    for key in ["replicas", "strategy"] {
        assert_eq!(chart.only("Deployment")["spec"][key], base.only("Deployment")["spec"][key]);
    }
}

/// Returns the variables that Kubernetes fills in.
fn filled_in(objects: &Objects) -> Vec<&Value> {
    objects.container()["env"].as_array().unwrap().iter().filter(|one| one["valueFrom"].is_object()).collect()
}

/// Returns all flags as the program sees them: the value that is set, or its own default.
async fn configuration(objects: &Objects) -> BTreeMap<String, Option<String>> {
    let mut told = program::variables(objects.container());
    for map in objects.of("ConfigMap") {
        told.extend(serde_json::from_value::<BTreeMap<_, _>>(map["data"].clone()).unwrap());
    }
    let told = program::set_by(told);
    assert_eq!(objects.container()["args"], json!(["run"]), "a flag would hide its variable");
    let mut all = program::flags().await;
    for (flag, value) in told {
        assert!(all.insert(flag.clone(), Some(value)).is_some(), "there is no --{flag}");
    }
    all
}

#[tokio::test]
async fn the_configuration_matches_the_base() {
    let (base, chart) = both().await;
    assert_eq!(filled_in(&chart), filled_in(&base));
    assert_eq!(configuration(&chart).await, configuration(&base).await);
}

#[tokio::test]
async fn the_documented_values_of_a_login_match_the_documented_overlay() {
    let base = Objects(components::documented().await[0].clone());
    let mut values = super::values::documented("docs/credentials.md");
    values["cde"]["url"] = base.only("ConfigMap")["data"]["CDE_URL"].clone();
    let chart = rendered(&values).await;
    assert_eq!(filled_in(&chart), filled_in(&base));
    assert_eq!(configuration(&chart).await, configuration(&base).await);
}

/// Returns the program as the container starts it, with `CDE_LISTEN` from a literal of the base or a value of the
/// chart.
fn command(objects: &Objects, listen: &str, scratch: &Path) -> Command {
    let token = scratch.join("token");
    std::fs::write(&token, "token").unwrap();
    let kubeconfig = scratch.join("kubeconfig");
    let nowhere = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere"}}],
        "current-context": "nowhere",
    });
    std::fs::write(&kubeconfig, nowhere.to_string()).unwrap();
    let args: Vec<String> = serde_json::from_value(objects.container()["args"].clone()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cde-operator"));
    command.args(args).env_clear();
    for map in objects.of("ConfigMap") {
        command.envs(serde_json::from_value::<BTreeMap<String, String>>(map["data"].clone()).unwrap());
    }
    command
        .envs(program::variables(objects.container()))
        .env("CDE_TOKEN_FILE", token)
        .env("CDE_LISTEN", listen)
        .env("KUBECONFIG", kubeconfig);
    command
}

/// Fault 55.
#[tokio::test]
async fn with_ipv6_only_the_program_listens_where_the_variable_says() {
    let (base, chart) = both().await;
    for objects in [base, chart] {
        assert_eq!(configuration(&objects).await["listen"], None, "the default serves IPv6, too");
        // The first one has no IPv4 at all, and the second one is the default except for the port.
        for listen in ["[::1]:0", "[::]:0"] {
            let scratch = scratch_dir().unwrap();
            let log = scratch.path().join("operator.log");
            let _operator = spawn_logged(command(&objects, listen, scratch.path()), &log).unwrap();
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            eventually("it responds over IPv6", async || {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let address = lines.find_map(|line| Some(line["listen"].as_str()?.to_owned()));
                let Some(address) = address else { return false };
                assert!(address.starts_with(listen.trim_end_matches('0')), "{address}");
                let address = address.replace("[::]", "[::1]");
                // Kubernetes is nowhere, so the operator is not ready, and says so.
                for (path, status) in [("livez", 200), ("metrics", 200), ("readyz", 503)] {
                    let answer = http.get(format!("http://{address}/{path}")).send().await;
                    if answer.is_ok_and(|answer| answer.status() == status) {
                        continue;
                    }
                    return false;
                }
                true
            })
            .await;
        }
    }
}
