//! A release of the chart from its installation to its removal, with the records that outlive it.

use std::path::{Path, PathBuf};

use cde_sandbox::control_plane::ControlPlane;
use serde_json::{Value, json};

use super::{Helm, Objects, values};
use crate::deploy::fixture::{eventually, path};
use crate::tools::empty_control_plane;

const NAMESPACE: &str = "cde-operator-system";
const ROLLBACKS: &str = "migrationrollbacks.cde.productsup.com";
/// The earlier CRD lacks this field of a rollback's spec.
const NEW_FIELD: &str = "preconditions";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    change(&mut value);
    // JSON is YAML.
    std::fs::write(file, value.to_string()).unwrap();
}

fn spec_fields(definition: &mut Value) -> &mut Value {
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    definition.pointer_mut(spec).unwrap()
}

/// Returns the chart of an earlier release: fewer fields, fewer annotations, no Lease.
async fn earlier(helm: &Helm) -> PathBuf {
    let source = helm.home().join("cde-operator");
    copy(path("deploy/chart").as_ref(), &source);
    change(&source.join("Chart.yaml"), |chart| chart["version"] = json!("0.0.9"));
    change(&source.join(format!("files/crds/{ROLLBACKS}.yaml")), |definition| {
        spec_fields(definition).as_object_mut().unwrap().remove(NEW_FIELD).unwrap();
        let annotations = definition["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove("kustomize.toolkit.fluxcd.io/prune").unwrap();
    });
    std::fs::remove_file(source.join("templates/lease-role.yaml")).unwrap();
    package(helm, source.to_str().unwrap(), "0.0.9").await
}

/// Packages the chart as for publishing.
async fn package(helm: &Helm, chart: &str, version: &str) -> PathBuf {
    helm.ok(&["package", chart, "-d", helm.home().to_str().unwrap()], &Value::Null).await;
    helm.home().join(format!("cde-operator-{version}.tgz"))
}

async fn get(control_plane: &ControlPlane, what: &[&str]) -> Value {
    let args: Vec<&str> = ["get", "-o", "json"].iter().chain(what).copied().collect();
    serde_json::from_str(&control_plane.kubectl_ok(&args, "").await.unwrap()).unwrap()
}

fn rollback(name: &str) -> Value {
    json!({
        "apiVersion": "cde.productsup.com/v1alpha1",
        "kind": "MigrationRollback",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "connectorID": "497f6eca-6276-4993-bfeb-53cbbbba6f08",
            "version": "main",
            "notAfter": "2099-12-31T00:00:00Z",
        },
    })
}

/// Creates a finished request as the operator leaves it.
async fn record(control_plane: &ControlPlane) -> Value {
    let create = ["create", "--validate=strict", "-f", "-"];
    control_plane.kubectl_ok(&create, &rollback("done").to_string()).await.unwrap();
    let status = json!({"status": {"outcome": "Succeeded", "reason": "RolledBack"}}).to_string();
    let patch = ["patch", "mrb", "done", "--subresource=status", "--type=merge", "-p", &status];
    control_plane.kubectl_ok(&patch, "").await.unwrap();
    records(control_plane).await
}

/// Returns all requests without `managedFields`.
async fn records(control_plane: &ControlPlane) -> Value {
    get(control_plane, &["mrb", "-A"]).await["items"].take()
}

/// Returns whether the API server accepts the field.
async fn knows_the_new_field(control_plane: &ControlPlane) -> bool {
    let mut guarded = rollback("guarded");
    guarded["spec"][NEW_FIELD] = json!({"state": "synchronized-to-prod"});
    let create = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    match control_plane.kubectl_ok(&create, &guarded.to_string()).await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains("unknown field"), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn an_upgrade_installs_the_new_crds_and_the_records_outlive_the_release() {
    let control_plane = empty_control_plane().await;
    let helm = Helm::of(&control_plane).await;
    let (before, now) =
        (earlier(&helm).await, package(&helm, &path("deploy/chart"), env!("CARGO_PKG_VERSION")).await);
    let [before, now] = [&before, &now].map(|file| file.to_str().unwrap());
    let values = values(json!({}));
    let install = |chart| ["install", "cde-operator", chart, "-n", NAMESPACE, "--create-namespace"];

    // Before anything is installed, CRDs included, a dry run already shows whether the installation will succeed.
    let dry: Vec<&str> = install(now).into_iter().chain(["--dry-run=server"]).collect();
    helm.ok(&dry, &values).await;
    helm.ok(&install(before), &values).await;
    let served = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    control_plane.kubectl_ok(&served, "").await.unwrap();
    eventually("the kinds can be used", async || {
        control_plane.kubectl_ok(&["explain", "mrb"], "").await.is_ok()
    })
    .await;
    assert!(!knows_the_new_field(&control_plane).await);
    let kept = record(&control_plane).await;
    assert_eq!(kept[0]["status"]["outcome"], "Succeeded");

    helm.ok(&["upgrade", "cde-operator", now, "-n", NAMESPACE], &values).await;
    eventually("the new field is known", async || knows_the_new_field(&control_plane).await).await;
    assert_eq!(records(&control_plane).await, kept, "an upgrade changes no record");
    let definition = get(&control_plane, &["crd", ROLLBACKS]).await;
    let annotations = &definition["metadata"]["annotations"];
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    get(&control_plane, &["role", "cde-operator-leases", "-n", NAMESPACE]).await;

    let told = helm.ok(&["uninstall", "cde-operator", "-n", NAMESPACE], &Value::Null).await;
    assert!(told.contains("kept due to the resource policy"), "{told}");
    let left = get(&control_plane, &["deployment,sa,role,rolebinding", "-n", NAMESPACE]).await;
    assert_eq!(left["items"], json!([]));
    assert_eq!(records(&control_plane).await, kept, "the records outlive the release");

    helm.ok(&install(now), &values).await;
    assert_eq!(records(&control_plane).await, kept, "a new installation finds the records");
}

#[tokio::test]
async fn the_crds_stay_when_a_release_no_longer_installs_them() {
    let control_plane = empty_control_plane().await;
    let helm = Helm::of(&control_plane).await;
    let chart = path("deploy/chart");
    let release = |verb| [verb, "cde-operator", &chart, "-n", "default"];
    helm.ok(&release("install"), &values(json!({}))).await;
    helm.ok(&release("upgrade"), &values(json!({"crds": {"enabled": false}}))).await;
    assert_eq!(get(&control_plane, &["crd"]).await["items"].as_array().unwrap().len(), 2);
    let manifest = helm.ok(&["get", "manifest", "cde-operator", "-n", "default"], &Value::Null).await;
    let objects = Objects(serde_saphyr::from_multiple(&manifest).unwrap());
    assert!(objects.of("CustomResourceDefinition").is_empty());
}

#[tokio::test]
async fn crds_that_kubectl_installed_are_adopted_only_on_request() {
    let control_plane = empty_control_plane().await;
    let helm = Helm::of(&control_plane).await;
    control_plane.kubectl_ok(&["create", "-k", &path("crds")], "").await.unwrap();
    let chart = path("deploy/chart");
    let install = ["install", "cde-operator", &chart, "-n", "default"];
    let refused = helm.run(&install, &values(json!({}))).await.unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    let install: Vec<&str> = install.into_iter().chain(["--take-ownership"]).collect();
    helm.ok(&install, &values(json!({}))).await;
}
