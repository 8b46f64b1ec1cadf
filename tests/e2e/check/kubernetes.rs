//! What the check finds about the API server, the CRDs and the permissions.

use std::collections::BTreeSet;
use std::fs;

use cde_sandbox::control_plane::{ControlPlane, OPERATOR_NAMESPACE};
use cde_sandbox::process;
use serde_json::{Value, json};

use crate::check::fixture::{Check, Finding, installed, message, operator, verdicts};

#[tokio::test]
async fn all_checks_pass_when_deploy_is_applied() {
    let check = Check::run_as(&operator().await).await.flag("--leader-election");
    let (findings, code) = check.findings().await;
    assert!(findings.iter().all(|one| one.verdict == "ok"), "{findings:#?}");
    assert_eq!(code, 0);
    assert_eq!(
        findings.iter().map(|one| one.check.as_str()).collect::<BTreeSet<_>>(),
        BTreeSet::from(["configuration", "kubernetes", "crds", "permission", "cde"])
    );
}

/// Returns each `VERB RESOURCE` in a role file of `deploy/rbac`.
fn granted(file: &str) -> BTreeSet<String> {
    let path = format!("{}/deploy/rbac/{file}", env!("CARGO_MANIFEST_DIR"));
    let objects: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut granted = BTreeSet::new();
    for rule in objects[0]["rules"].as_array().unwrap() {
        for resource in texts(&rule["resources"]) {
            granted.extend(texts(&rule["verbs"]).iter().map(|verb| format!("{verb} {resource}")));
        }
    }
    granted
}

fn permissions(findings: &[Finding], place: &str) -> BTreeSet<String> {
    let of = findings.iter().filter(|one| one.check == "permission");
    of.filter_map(|one| {
        one.message.split(':').next()?.strip_suffix(place).map(|right| right.trim().to_owned())
    })
    .collect()
}

#[tokio::test]
async fn the_check_covers_exactly_the_permissions_in_the_roles() {
    let check = Check::run_as(&operator().await).await.flag("--leader-election");
    let (findings, _) = check.findings().await;
    assert_eq!(permissions(&findings, "in all namespaces"), granted("operator-role.yaml"));
    assert_eq!(
        permissions(&findings, &format!("in namespace {OPERATOR_NAMESPACE}")),
        granted("lease-role.yaml")
    );
}

#[tokio::test]
async fn each_missing_permission_is_reported_with_an_action() {
    let control_plane = installed().await;
    let create = ["create", "serviceaccount", "nobody", "-n", OPERATOR_NAMESPACE];
    control_plane.kubectl_ok(&create, "").await.unwrap();
    let nobody = control_plane.service_account(OPERATOR_NAMESPACE, "nobody", None).await.unwrap();
    let check = Check::run_as(&nobody).await.flag("--namespaces=one,two");
    let (findings, code) = check.findings().await;
    assert_eq!(code, 1);
    assert_eq!(verdicts(&findings, "permission"), ["failed"; 19]);
    for place in ["in namespace one", "in namespace two"] {
        assert_eq!(permissions(&findings, place), granted("operator-role.yaml"));
    }
    let advised = findings.iter().filter(|one| one.message.contains("apply deploy/rbac"));
    assert_eq!(advised.count(), 19);
    assert_eq!(verdicts(&findings, "crds"), ["ok"], "every user may read the served versions");
}

#[tokio::test]
async fn an_administrator_can_check_the_permissions_of_the_operator() {
    let control_plane = installed().await;
    for (user, verdict) in [("cde-operator", "ok"), ("default", "failed")] {
        let check = Check::run_as(&control_plane.kubeconfig())
            .await
            .flag(format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:{user}"))
            .flag("--leader-election");
        let (findings, _) = check.findings().await;
        assert_eq!(verdicts(&findings, "permission"), [verdict; 13], "{user}");
    }
}

#[tokio::test]
async fn missing_crds_are_reported_before_the_installation() {
    let control_plane = ControlPlane::start().await.unwrap();
    let (findings, code) = Check::run_as(&control_plane.kubeconfig()).await.findings().await;
    assert_eq!(code, 1);
    assert!(message(&findings, "crds").contains("not installed: apply crds/"), "{findings:#?}");
    assert_eq!(verdicts(&findings, "kubernetes"), ["ok"]);
}

#[tokio::test]
async fn without_an_api_server_only_the_checks_that_need_it_are_skipped() {
    let scratch = process::scratch_dir().unwrap();
    let nowhere = scratch.path().join("kubeconfig");
    // Nothing listens on port 1 of loopback.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "gone", "user": {"token": "none"}}],
        "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "gone"}}],
        "current-context": "gone",
    });
    fs::write(&nowhere, config.to_string()).unwrap();
    let (findings, code) = Check::run_as(&nowhere).await.findings().await;
    assert_eq!(code, 1);
    assert_eq!(verdicts(&findings, "kubernetes"), ["failed"]);
    assert!(message(&findings, "kubernetes").starts_with("https://127.0.0.1:1"), "{findings:#?}");
    assert_eq!(verdicts(&findings, "crds"), ["skipped"]);
    assert_eq!(verdicts(&findings, "permission"), ["skipped"]);
    assert_eq!(verdicts(&findings, "cde"), ["ok"]);
}

#[tokio::test]
async fn the_check_changes_nothing_on_the_api_server() {
    let control_plane = ControlPlane::start().await.unwrap();
    control_plane.install(|_, _| ()).await.unwrap();
    let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:cde-operator");
    let kubeconfig = control_plane.service_account(OPERATOR_NAMESPACE, "cde-operator", None).await.unwrap();
    let (_, code) = Check::run_as(&kubeconfig).await.flag("--leader-election").findings().await;
    assert_eq!(code, 0);
    let touched = control_plane.audit().unwrap().into_iter().filter(|event| event.user == user);
    assert_eq!(touched.collect::<Vec<_>>(), [], "no requests, Events or Leases");
}
