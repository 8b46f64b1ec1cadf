//! The operator's program with what the chart gives it: its arguments, and permissions only in named namespaces.

use std::path::Path;
use std::process::Command;

use cde_sandbox::cde::{Connector, Sandbox, Version, new_id};
use cde_sandbox::process::{self, spawn_logged};
use serde_json::{Value, json};

use super::{Helm, program, values};
use crate::deploy::fixture::{eventually, installed, path};
use crate::deploy::permissions::may;

const HOME: &str = "operator-of-a-tenant";
const WATCHED: &str = "requests-of-a-tenant";
const OTHER: &str = "requests-of-another";

/// Returns `cde-operator` as a container of the chart runs it, except for paths that differ here.
fn command(container: &Value, kubeconfig: &Path, cde: &Sandbox, scratch: &Path) -> Command {
    let token = scratch.join("token");
    std::fs::write(&token, cde.token()).unwrap();
    let args: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    let mut operator = Command::new(cde_harness::operator_program());
    operator
        .args(args)
        .env_clear()
        .envs(program::variables(container))
        .env("CDE_URL", cde.url())
        .env("CDE_TOKEN_FILE", token)
        .env("CDE_LISTEN", "127.0.0.1:0")
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAME", "operator")
        .env("POD_NAMESPACE", HOME);
    operator
}

fn restore(namespace: &str, name: &str, connector: &str) -> String {
    json!({
        "apiVersion": "cde.productsup.com/v1alpha1",
        "kind": "ConnectorRestore",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"connectorID": connector},
    })
    .to_string()
}

/// Returns the manifest of the first request in the notes of an installation, and the commands that follow it.
fn first_request(notes: &str) -> (&str, &str) {
    let (_, rest) = notes.split_once("kubectl apply -f - <<'EOF'\n").unwrap();
    rest.split_once("\nEOF\n").unwrap()
}

#[tokio::test]
async fn the_permissions_of_the_chart_are_enough_for_the_operator_of_a_tenant() {
    let control_plane = installed().await;
    for namespace in [WATCHED, OTHER] {
        control_plane.kubectl_ok(&["create", "namespace", namespace], "").await.unwrap();
    }
    let helm = Helm::of(control_plane).await;
    let values = values(json!({
        "namespaces": [WATCHED], "crds": {"enabled": false}, "rbac": {"userRoles": false},
    }));
    let install = ["install", "tenant", &path("deploy/chart"), "-n", HOME, "--create-namespace"];
    let notes = helm.ok(&install, &values).await;

    let account = control_plane.service_account(HOME, "tenant-cde-operator", None).await.unwrap();
    let client = control_plane.client(&account).await.unwrap();
    eventually("its bindings are in force", async || {
        may(&client, "create", "coordination.k8s.io", "leases", HOME).await
            && may(&client, "list", "cde.productsup.com", "connectorrestores", WATCHED).await
    })
    .await;
    for namespace in [OTHER, HOME, ""] {
        assert!(!may(&client, "list", "cde.productsup.com", "connectorrestores", namespace).await);
    }

    let sandbox = Sandbox::start().await.unwrap();
    let objects = helm.template(&values).await;
    let check = &objects.only("Pod")["spec"]["containers"][0];
    let checked = process::output(command(check, &account, &sandbox, helm.home()), b"").await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let deployment = ["get", "deployment", "tenant-cde-operator", "-n", HOME, "-o", "json"];
    let deployment: Value =
        serde_json::from_str(&control_plane.kubectl_ok(&deployment, "").await.unwrap()).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let log = helm.home().join("operator.log");
    let operator = spawn_logged(command(container, &account, &sandbox, helm.home()), &log).unwrap();

    let [ours, theirs] = [new_id(), new_id()];
    for (namespace, id) in [(OTHER, theirs), (WATCHED, ours)] {
        sandbox.put(Connector::in_bin(id).version(Version::default()));
        let restore = restore(namespace, "bring-it-back", &id.to_string());
        control_plane.kubectl_ok(&["create", "-f", "-"], &restore).await.unwrap();
    }
    let wait = ["wait", "crst/bring-it-back", "-n", WATCHED, "--for=condition=Ready", "--timeout=60s"];
    let waited = control_plane.kubectl_ok(&wait, "").await;
    let log = std::fs::read_to_string(log).unwrap_or_default();
    waited.unwrap_or_else(|error| panic!("{error}\n{log}"));
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");

    let reason = ["get", "crst", "bring-it-back", "-o", "jsonpath={.status.reason}", "-n"];
    for (namespace, expected) in [(WATCHED, "Restored"), (OTHER, "")] {
        let args: Vec<&str> = reason.into_iter().chain([namespace]).collect();
        assert_eq!(control_plane.kubectl_ok(&args, "").await.unwrap(), expected, "{namespace}");
    }
    let calls = sandbox.ledger().calls().len();
    let (manifest, after) = first_request(&notes);
    control_plane.kubectl_ok(&["apply", "-f", "-"], manifest).await.unwrap();
    let commands: Vec<&str> = after.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(commands.len(), 3, "{after}");
    for command in commands {
        let words = command.split(' ').skip(1).map(|word| word.replace('\'', "")).collect::<Vec<_>>();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        control_plane.kubectl_ok(&words, "").await.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
    assert_eq!(sandbox.ledger().calls().len(), calls, "the first request calls the CDE");
    let left = ["get", "crst", "first", "-n", WATCHED, "--ignore-not-found", "-o", "name"];
    assert_eq!(control_plane.kubectl_ok(&left, "").await.unwrap(), "");

    let leases = control_plane.kubectl_ok(&["get", "leases", "-n", HOME, "-o", "name"], "").await.unwrap();
    assert_eq!(leases.lines().count(), 1, "{leases}");
    drop(operator);
}
