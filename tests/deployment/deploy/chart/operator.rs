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
/// The connector in the chart's notes, which does not exist.
const OF_THE_NOTES: &str = "00000000-0000-0000-0000-000000000000";

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
    helm.ok(&install, &values).await;

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
    let first = restore(WATCHED, "first", OF_THE_NOTES);
    control_plane.kubectl_ok(&["create", "-f", "-"], &first).await.unwrap();
    let refused = "--for=jsonpath={.status.reason}=NotFound";
    let wait = ["wait", "crst/first", "-n", WATCHED, refused, "--timeout=60s"];
    control_plane.kubectl_ok(&wait, "").await.unwrap();

    let leases = control_plane.kubectl_ok(&["get", "leases", "-n", HOME, "-o", "name"], "").await.unwrap();
    assert_eq!(leases.lines().count(), 1, "{leases}");
    drop(operator);
}
