//! The scripts in `argocd-cm` under what installs Argo CD and writes the same `ConfigMap`.

use std::fs;

use cde_harness::TestEnv;
use cde_sandbox::process::scratch_dir;
use cde_sandbox::program::workspace;
use cde_sandbox::{controllers, tools};
use serde_json::{Value, json};

use crate::controller::built;
use crate::flux::Scene;
use crate::helm::run;
use crate::kubernetes::test_env;

/// What docs/gitops.md prints the keys with.
const KEYS: &str = "go-template={{range $key, $_ := .data}}{{println $key}}{{end}}";

/// Returns how many of the four scripts are in a namespace's `argocd-cm`, by the command of docs/gitops.md.
pub(crate) async fn scripts_in(env: &TestEnv, namespace: &str) -> usize {
    let get = ["-n", namespace, "get", "configmap", "argocd-cm", "-o", KEYS];
    let keys = env.control_plane.kubectl_ok(&get, "").await.unwrap();
    keys.lines().filter(|key| key.contains("cde.productsup.com")).count()
}

/// Adds the scripts as deploy/argocd/README.md has it, with more flags.
pub(crate) async fn patch_scripts(env: &TestEnv, more: &[&str]) {
    let file = workspace().join("deploy/argocd/argocd-cm.yaml").display().to_string();
    let patch = [&["patch", "configmap", "argocd-cm", "--patch-file", &file], more].concat();
    env.kubectl(&patch, "").await;
    assert_eq!(scripts_in(env, &env.namespace).await, 4);
}

fn settings(url: &str) -> Value {
    let metadata = json!({"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"url": url}})
}

#[test]
fn the_docs_have_the_command_that_these_tests_use() {
    let docs = fs::read_to_string(workspace().join("docs/gitops.md")).unwrap();
    let template = KEYS.strip_prefix("go-template=").unwrap();
    assert!(docs.contains(&format!("-o go-template='{template}'")));
}

#[tokio::test]
async fn kubectl_apply_keeps_scripts_that_were_patched_into_argocd_cm() {
    let env = test_env().await;
    // Argo CD's own instructions use the second form.
    for apply in [&["apply", "-f", "-"][..], &["apply", "--server-side", "--force-conflicts", "-f", "-"]] {
        env.kubectl(apply, &settings("https://before.example.com").to_string()).await;
        patch_scripts(&env, &[]).await;
        env.kubectl(apply, &settings("https://after.example.com").to_string()).await;
        assert_eq!(scripts_in(&env, &env.namespace).await, 4, "{apply:?}");
        env.kubectl(&["delete", "configmap", "argocd-cm"], "").await;
    }
}

#[tokio::test]
async fn helm_keeps_scripts_that_were_patched_into_argocd_cm_unless_it_replaces() {
    let env = test_env().await;
    let chart = scratch_dir().unwrap();
    let metadata = json!({"apiVersion": "v2", "name": "argocd", "version": "0.1.0"});
    fs::write(chart.path().join("Chart.yaml"), metadata.to_string()).unwrap();
    fs::create_dir(chart.path().join("templates")).unwrap();
    let template = settings("{{ .Values.url }}").to_string();
    fs::write(chart.path().join("templates/argocd-cm.yaml"), template).unwrap();
    let path = chart.path().display().to_string();
    for (helm, replace) in [
        (built(tools::helm).await, &["--force"][..]),
        (built(controllers::helm4).await, &["--force-replace", "--server-side=false"]),
    ] {
        let helm = async |args: &[&str]| {
            let args = [args, &["-n", &env.namespace]].concat();
            run(&helm, &env, chart.path(), &args).await.unwrap();
        };
        let release = async |verb: &str, url: &str, more: &[&str]| {
            let url = format!("url={url}");
            helm(&[&[verb, "argocd", &path, "--set", &url], more].concat()).await;
        };
        release("install", "before", &[]).await;
        patch_scripts(&env, &[]).await;
        release("upgrade", "after", &[]).await;
        assert_eq!(scripts_in(&env, &env.namespace).await, 4, "{replace:?}");
        release("upgrade", "replaced", replace).await;
        assert_eq!(scripts_in(&env, &env.namespace).await, 0, "{replace:?}");
        helm(&["uninstall", "argocd"]).await;
    }
}

#[tokio::test]
async fn flux_removes_scripts_from_argocd_cm_that_kubectl_wrote_and_keeps_those_of_another_field_manager() {
    let scene = Scene::new().await;
    scene.repository.write("argocd/argocd-cm.yaml", &settings("https://argocd.example.com").to_string());
    let revision = scene.push("Install Argo CD").await;
    scene.kustomization("argocd", json!({})).await;
    scene.until_ready("argocd", &revision).await;
    patch_scripts(&scene.env, &[]).await;
    scene.reconcile("argocd").await;
    assert_eq!(scripts_in(&scene.env, &scene.env.namespace).await, 0);
    patch_scripts(&scene.env, &["--field-manager=platform"]).await;
    scene.reconcile("argocd").await;
    assert_eq!(scripts_in(&scene.env, &scene.env.namespace).await, 4);
}
