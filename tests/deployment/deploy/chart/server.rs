//! The chart against a real API server, as dry runs.

use serde_json::{Value, json};

use super::{Helm, choices, merge, values};
use crate::deploy::fixture::{OPERATOR_NAMESPACE, installed, path};
use crate::deploy::others;

#[tokio::test]
async fn helm_can_install_every_choice_as_a_dry_run() {
    let control_plane = others::installed().await;
    let helm = Helm::of(control_plane).await;
    let chart = path("deploy/chart");
    for (what, mut values) in choices() {
        // The CRDs of these tests belong to kubectl.
        values["crds"] = json!({"enabled": false});
        values["rbac"]["userRoles"] = json!(false);
        let install = ["install", "dry", &chart, "-n", OPERATOR_NAMESPACE, "--dry-run=server"];
        let told = helm.run(&install, &values).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(told.contains("STATUS: pending-install"), "{what}: {told}");
    }
}

#[tokio::test]
async fn the_api_server_accepts_every_field_of_every_choice() {
    let control_plane = others::installed().await;
    let helm = Helm::of(control_plane).await;
    control_plane.kubectl_ok(&["create", "namespace", "of-a-team"], "").await.unwrap();
    for (what, values) in choices() {
        let mut objects = helm.template(&values).await.0;
        // helm creates it on request, and it needs its account then: see below.
        objects.retain(|object| object["kind"] != "Pod");
        let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
        let apply = ["apply", "-f", "-", "--dry-run=server", "--validate=strict"];
        let told = control_plane.kubectl_ok(&apply, &texts.join("\n---\n")).await;
        let told = told.unwrap_or_else(|error| panic!("{what}: {error}"));
        let accepted = told.lines().filter(|line| line.ends_with("(server dry run)")).count();
        assert_eq!(accepted, objects.len(), "{what}: {told}");
    }
}

#[tokio::test]
async fn the_pods_of_the_chart_pass_restricted_admission() {
    let control_plane = installed().await;
    let helm = Helm::of(control_plane).await;
    let objects = helm.template(&values(json!({"cde": {"ca": {"configMap": "roots"}}}))).await;
    let create = ["create", "-n", OPERATOR_NAMESPACE, "-f", "-", "--dry-run=server", "--validate=strict"];
    for pod in [objects.pod(), objects.only("Pod")] {
        let mut pod = pod.clone();
        merge(&mut pod, json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "of-the-chart"}}));
        control_plane.kubectl_ok(&create, &pod.to_string()).await.unwrap();
        pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!(null);
        let refused = control_plane.kubectl_ok(&create, &pod.to_string()).await.unwrap_err().to_string();
        assert!(refused.contains("violates PodSecurity"), "{refused}");
    }
}

/// The notes after an installation, and the command in them.
#[tokio::test]
async fn the_command_in_the_notes_creates_a_valid_object() {
    let control_plane = installed().await;
    let helm = Helm::of(control_plane).await;
    let values =
        values(json!({"crds": {"enabled": false}, "namespaces": ["connectors"], "rbac": {"create": false}}));
    let install = ["install", "notes", &path("deploy/chart"), "-n", OPERATOR_NAMESPACE, "--dry-run=server"];
    let told = helm.ok(&install, &values).await;
    let (_, notes) = told.split_once("NOTES:").unwrap();
    assert!(notes.contains("create secret generic cde-operator-token --from-file=token=FILE"), "{notes}");
    assert!(notes.contains("rollout status deployment/notes-cde-operator"), "{notes}");
    // Unchanged, because users paste it into a shell.
    let (_, rest) = notes.split_once("<<'EOF'\n").unwrap();
    let (manifest, _) = rest.split_once("\nEOF\n").unwrap();
    let create = ["create", "-f", "-", "--dry-run=server", "--validate=strict", "-o", "name"];
    let created = control_plane.kubectl_ok(&create, manifest).await.unwrap();
    assert_eq!(created.trim(), "connectorrestore.cde.productsup.com/first");
}

#[tokio::test]
async fn the_notes_ask_for_a_secret_only_if_it_is_missing() {
    let control_plane = installed().await;
    let helm = Helm::of(control_plane).await;
    let secret = ["create", "secret", "generic", "there", "-n", OPERATOR_NAMESPACE, "--from-literal=token=t"];
    control_plane.kubectl_ok(&secret, "").await.unwrap();
    let values = values(json!({
        "crds": {"enabled": false}, "rbac": {"userRoles": false}, "cde": {"token": {"secret": "there"}},
    }));
    let install = ["install", "notes", &path("deploy/chart"), "-n", OPERATOR_NAMESPACE, "--dry-run=server"];
    let told = helm.ok(&install, &values).await;
    assert!(told.contains("NOTES:") && !told.contains("create secret"), "{told}");
}
