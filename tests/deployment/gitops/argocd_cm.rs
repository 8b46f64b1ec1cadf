//! The `ConfigMap` that gives the scripts to a running Argo CD. It is generated from the scripts, and the tools accept
//! it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::gitops::cases::BOTH;
use crate::gitops::kept::text;
use crate::tools::test_env;
use cde_harness::Kind;

const HEAD: &str = "\
# Health checks and actions for both kinds, for a running Argo CD. Generated from resource_customizations; do not edit.
#   kubectl -n argocd patch configmap argocd-cm --patch-file deploy/argocd/argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/argocd")
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Restore => "cde.productsup.com_ConnectorRestore",
        Kind::Rollback => "cde.productsup.com_MigrationRollback",
    }
}

fn indented(text: &str, by: usize) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(by)) };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn written() -> String {
    let mut yaml = HEAD.to_owned();
    for kind in BOTH {
        let (name, script) = (name(kind), |file: &str| text(kind, file));
        let mut actions =
            format!("discovery.lua: |\n{}\ndefinitions:\n", indented(&script("actions/discovery.lua"), 2));
        for action in ["retry", "suspend", "resume"] {
            let action_lua = indented(&script(&format!("actions/{action}/action.lua")), 4);
            writeln!(actions, "- name: {action}\n  action.lua: |\n{action_lua}").unwrap();
        }
        let (health, actions) = (indented(&script("health.lua"), 4), indented(&actions, 4));
        writeln!(yaml, "  resource.customizations.health.{name}: |\n{health}").unwrap();
        writeln!(yaml, "  resource.customizations.actions.{name}: |\n{actions}").unwrap();
    }
    yaml
}

/// Checks that the keys contain the scripts.
fn assert_complete(config_map: &Value) {
    for kind in BOTH {
        let of = |what: &str| {
            let key = format!("resource.customizations.{what}.{}", name(kind));
            config_map["data"][&key].as_str().unwrap_or_else(|| panic!("no {key}")).to_owned()
        };
        assert_eq!(of("health"), text(kind, "health.lua"));
        let actions: Value = serde_saphyr::from_str(&of("actions")).unwrap();
        assert_eq!(actions["discovery.lua"], json!(text(kind, "actions/discovery.lua")));
        let definitions = actions["definitions"].as_array().unwrap();
        assert_eq!(definitions.len(), 3);
        for definition in definitions {
            let file = format!("actions/{}/action.lua", definition["name"].as_str().unwrap());
            assert_eq!(definition["action.lua"], json!(text(kind, &file)));
        }
    }
}

#[test]
fn the_config_map_is_generated_from_the_scripts() {
    let file = path().join("argocd-cm.yaml");
    if std::env::var_os("UPDATE_TESTDATA").is_some() {
        std::fs::write(&file, written()).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept, written(), "UPDATE_TESTDATA=1 writes it");
    assert_complete(&serde_saphyr::from_str(&kept).unwrap());
}

/// Returns settings that someone else made.
fn of_others() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": {"url": "https://argocd.example.com"},
    })
}

#[tokio::test]
async fn a_patch_adds_the_scripts_to_a_running_argo_cd_and_leaves_its_other_settings() {
    let env = test_env().await;
    env.kubectl(&["create", "-f", "-"], &of_others().to_string()).await;
    let file = path().join("argocd-cm.yaml").display().to_string();

    env.kubectl(&["patch", "configmap", "argocd-cm", "--patch-file", &file], "").await;

    let stored = env.kubectl(&["get", "configmap", "argocd-cm", "-o", "json"], "").await;
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_complete(&stored);
    assert_eq!(stored["data"]["url"], "https://argocd.example.com");
}

#[tokio::test]
async fn the_component_adds_the_scripts_to_an_argo_cd_installed_by_kustomize() {
    let env = test_env().await;
    let overlay = env.scratch.path().join("overlay");
    std::fs::create_dir(&overlay).unwrap();
    // Kustomize takes relative paths only. Both are below the root.
    let up = "../".repeat(overlay.components().count() - 1);
    let component = format!("{up}{}", path().display().to_string().trim_start_matches('/'));
    let mut installed = of_others();
    installed["metadata"]["namespace"] = json!("argocd");
    std::fs::write(overlay.join("argocd.yaml"), installed.to_string()).unwrap();
    let kustomization = json!({"resources": ["argocd.yaml"], "components": [component]});
    std::fs::write(overlay.join("kustomization.yaml"), kustomization.to_string()).unwrap();

    let built = env.kubectl(&["kustomize", &overlay.display().to_string()], "").await;

    let built: Value = serde_saphyr::from_str(&built).unwrap();
    assert_complete(&built);
    assert_eq!(built["data"]["url"], "https://argocd.example.com");
}
