//! Requests that Argo CD, Flux or Helm manage: what `retry`, `suspend` and `resume` say about a change by hand.

use std::process::Command;

use cde_harness::rollback;
use cde_sandbox::cde::new_id;
use cde_sandbox::process::scratch_dir;
use cde_sandbox::tools;
use serde_json::{Value, json};

use super::fixture::{Incident, run};

const FLUX: &str = "kustomize-controller";
const ARGO: &str = "argocd-controller";

/// Applies a request as a tool does: with its field manager and its marks. `suspend` is what the manifest says.
async fn apply(incident: &Incident, name: &str, manager: &str, marks: &Value, suspend: Option<bool>) {
    let manifest = rollback(name, new_id(), "main");
    let manifest = suspend.into_iter().fold(manifest, |manifest, suspend| manifest.spec("suspend", suspend));
    let mut object: Value = serde_json::from_str(&manifest.yaml()).unwrap();
    for (part, marks) in marks.as_object().unwrap() {
        object["metadata"][part] = marks.clone();
    }
    let manager = format!("--field-manager={manager}");
    incident.env.kubectl(&["apply", "--server-side", &manager, "-f", "-"], &object.to_string()).await;
}

/// Runs a command that must succeed, and returns what it said on standard error.
async fn note(incident: &Incident, args: &[&str]) -> String {
    let ended = incident.run(args).await;
    assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
    ended.stderr
}

/// Checks what is said about a field that the manifest leaves out, and about one that it sets.
async fn says(incident: &Incident, [free, set]: [&str; 2], manager: &str, source: &str, reverts: &str) {
    let lasts = |name: &str| {
        format!(
            "mrb/{name} is managed by {manager}: this change lasts as long as {source} does not set spec.suspend\n"
        )
    };
    let reverted = |name: &str, field: &str| {
        format!(
            "mrb/{name} is managed by {manager}, which sets spec.{field} {reverts}: change it in {source}, too\n"
        )
    };
    assert_eq!(note(incident, &["suspend", free]).await, lasts(free));
    assert_eq!(note(incident, &["resume", free]).await, lasts(free));
    assert_eq!(note(incident, &["resume", set]).await, reverted(set, "suspend"));
    let retried = note(incident, &["retry", free]).await;
    assert_eq!(
        retried,
        format!("mrb/{free} is managed by {manager}: the retry needs no change in {source}\n")
    );
    // Every rollback has the field.
    assert_eq!(note(incident, &["retry", set, "--not-after", "2h"]).await, reverted(set, "notAfter"));
}

#[tokio::test]
async fn a_request_that_flux_manages_says_when_a_change_is_undone() {
    let incident = Incident::without_operator().await;
    for (object, kind, source, reverts) in [
        ("kustomize", "Kustomization", "Git", "and puts it back at its next run"),
        ("helm", "HelmRelease", "the chart", "and can put it back at its next upgrade"),
    ] {
        let [name, namespace] = ["name", "namespace"].map(|key| format!("{object}.toolkit.fluxcd.io/{key}"));
        let mut marks = json!({"labels": {name: "connectors", namespace: "flux-system"}});
        if object == "helm" {
            // The helm-controller runs Helm, which leaves its own marks.
            marks["annotations"] = json!({"meta.helm.sh/release-name": "connectors"});
        }
        let [free, set] = ["free", "set"].map(|name| format!("{object}-{name}"));
        apply(&incident, &free, FLUX, &marks, None).await;
        apply(&incident, &set, FLUX, &marks, Some(true)).await;
        let manager = format!("Flux ({kind} flux-system/connectors)");
        says(&incident, [&free, &set], &manager, source, reverts).await;
    }
}

#[tokio::test]
async fn a_request_that_argo_cd_manages_says_when_a_change_is_undone() {
    let incident = Incident::without_operator().await;
    let tracked = |application: &str, name: &str| {
        let id =
            format!("{application}:cde.productsup.com/MigrationRollback:{}/{name}", incident.env.namespace);
        json!({"annotations": {"argocd.argoproj.io/tracking-id": id}})
    };
    let labeled = json!({"labels": {"app.kubernetes.io/instance": "connectors"}});
    for (form, application, marks) in [
        ("annotation", "connectors", tracked("connectors", "annotation-free")),
        ("elsewhere", "team-a/connectors", tracked("team-a_connectors", "elsewhere-free")),
        ("label", "connectors", labeled.clone()),
    ] {
        let [free, set] = ["free", "set"].map(|name| format!("{form}-{name}"));
        apply(&incident, &free, ARGO, &marks, None).await;
        apply(&incident, &set, ARGO, &marks, Some(true)).await;
        let manager = format!("Argo CD (Application {application})");
        let reverts = "and puts it back at its next sync, within seconds under self-heal";
        says(&incident, [&free, &set], &manager, "Git", reverts).await;
    }
    // Other tools set the label, too.
    apply(&incident, "by-hand", "somebody", &labeled, None).await;
    assert_eq!(note(&incident, &["suspend", "by-hand"]).await, "");
}

#[tokio::test]
async fn a_request_of_a_helm_release_says_what_the_next_upgrade_does() {
    let incident = Incident::without_operator().await;
    let helm = tokio::task::spawn_blocking(tools::helm).await.unwrap().unwrap();
    let chart = scratch_dir().unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    std::fs::write(chart.path().join("Chart.yaml"), "apiVersion: v2\nname: connectors\nversion: 1.0.0\n")
        .unwrap();
    for (name, manifest) in [
        ("free", rollback("free", new_id(), "main")),
        ("set", rollback("set", new_id(), "main").spec("suspend", true)),
    ] {
        std::fs::write(chart.path().join(format!("templates/{name}.yaml")), manifest.yaml()).unwrap();
    }
    let namespace = &incident.env.namespace;
    let mut install = Command::new(helm);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HELM_") {
            install.env_remove(name);
        }
    }
    install
        .env("KUBECONFIG", incident.env.control_plane.kubeconfig())
        .env("HOME", incident.env.scratch.path());
    install.args(["install", "connectors", "--namespace", namespace]).arg(chart.path());
    let installed = run(install, "").await;
    assert_eq!(installed.code, 0, "{installed:?}");

    let manager = format!("Helm (release {namespace}/connectors)");
    let reverts = "so that its next upgrade fails with a conflict or puts it back";
    says(&incident, ["free", "set"], &manager, "the chart", reverts).await;
    // `describe` names it, too.
    assert!(incident.ok(&["describe", "set"]).await.contains(&manager));
}

#[tokio::test]
async fn a_request_of_a_person_is_changed_without_a_word() {
    let incident = Incident::without_operator().await;
    let id = incident.migrated("shop").to_string();
    incident.ok(&["rollback", &id, "--name", "own"]).await;
    for args in [&["suspend", "own"][..], &["resume", "own"], &["retry", "own", "--not-after", "2h"]] {
        assert_eq!(note(&incident, args).await, "");
    }
}
