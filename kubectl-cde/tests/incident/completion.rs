//! `completion`, `kubectl_complete-cde` and `version`.

use std::path::Path;

use cde_harness::{Kind, rollback};

use super::fixture::{Incident, run};

#[tokio::test]
async fn kubectl_completes_commands_flags_values_and_names() {
    let incident = Incident::new().await;
    let connector = incident.migrated("shop");
    incident.env.apply(&rollback("shop-1", connector, "main").spec("suspend", true)).await;
    incident.env.wait_for_reason(Kind::Rollback, "shop-1", "Suspended").await;
    let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-cde")).parent().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/completion");
    let path = format!("{script}:{}:{}", plugin.display(), std::env::var("PATH").unwrap());
    let namespace = &incident.env.namespace;
    for (words, expected) in [
        (vec!["cde", "res"], vec!["restore", "resume"]),
        (vec!["cde", "rollback", "--max"], vec!["--max-failures"]),
        (vec!["cde", "status", "--reason", "Rest"], vec!["Restored"]),
        (vec!["cde", "completion", "z"], vec!["zsh"]),
        (vec!["cde", "resume", "-n", namespace, "sh"], vec!["shop-1"]),
        (vec!["cde", "rollback", "-f", "x"], vec![]),
    ] {
        let mut kubectl = incident.env.control_plane.kubectl();
        kubectl.env("PATH", &path).arg("__complete").args(&words);
        let ended = run(kubectl, "").await;
        let found: Vec<&str> = ended
            .stdout
            .lines()
            .take_while(|line| !line.starts_with(':'))
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(found, expected, "{words:?}: {ended:?}");
        let files = if words.contains(&"-f") { "\n:0\n" } else { "\n:4\n" };
        assert!(format!("\n{}", ended.stdout).contains(files), "{words:?}: {ended:?}");
    }
}

#[tokio::test]
async fn every_shell_has_a_script() {
    let incident = Incident::without_operator().await;
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = incident.ok(&["completion", shell]).await;
        assert!(script.contains("kubectl-cde") && script.contains("max-failures"), "{shell}: {script}");
    }
}

#[tokio::test]
async fn a_requester_learns_whether_the_crds_are_complete() {
    let incident = Incident::without_operator().await;
    let text = incident.ok(&["version"]).await;
    assert!(
        text.contains("\nCRDs:      complete\nOperator:  unknown: you may not list deployments"),
        "{text}"
    );
}

#[tokio::test]
async fn old_crds_are_named_by_what_they_lack() {
    let mut incident = Incident::without_operator().await;
    let control_plane = cde_harness::ControlPlane::own().await;
    let lacks = |schema: &mut _| {
        let spec = cde_harness::property(schema, "spec");
        spec.properties.as_mut().unwrap().remove("preconditions");
    };
    control_plane
        .apply_crds_with(|schema| {
            let has = schema.properties.as_ref().unwrap()["spec"]
                .properties
                .as_ref()
                .unwrap()
                .contains_key("preconditions");
            if has {
                lacks(schema);
            }
        })
        .await;
    incident.kubeconfig = control_plane.kubeconfig();
    let text = incident.ok(&["version"]).await;
    let says =
        "older than the plugin, because they lack MigrationRollback.spec.preconditions: apply the CRDs";
    assert!(text.contains(says), "{text}");
}
