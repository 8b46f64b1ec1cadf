//! The actions of `deploy/argocd`, run through Argo CD's server as its command line and its UI run them.

use std::fs;
use std::time::Instant;

use cde_harness::{Kind, Request};
use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::program::workspace;
use serde_json::{Value, json};

use super::scenarios::failing;
use super::{Scene, automated};
use crate::controller::{eventually, until_applied};

impl Scene {
    async fn cli(&self, args: &[&str]) -> String {
        self.installation.cli(args).await.unwrap_or_else(|error| panic!("argocd {args:?}: {error}"))
    }

    /// Runs an action on a request of the Application `connectors`.
    async fn act(&self, action: &str, request: &Request) {
        let (name, kind) = (self.name("connectors"), kind(request));
        self.cli(&["app", "actions", "run", &name, action, "--kind", kind, "--resource-name", &request.name])
            .await;
    }

    /// Returns the actions that are offered for a request, in the order of their names.
    async fn offered(&self, request: &Request) -> Vec<String> {
        let name = self.name("connectors");
        let list = ["app", "actions", "list", &name, "--resource-name", &request.name, "--out", "json"];
        let actions: Vec<Value> = serde_json::from_str(&self.cli(&list).await).expect("JSON");
        assert_eq!(actions.len(), 3, "{actions:?}");
        let offered = actions.iter().filter(|action| action["Disabled"] == false);
        let mut names: Vec<_> =
            offered.filter_map(|action| action["Action"].as_str()).map(Into::into).collect();
        names.sort_unstable();
        names
    }
}

fn kind(request: &Request) -> &'static str {
    match request.kind {
        Kind::Restore => "ConnectorRestore",
        Kind::Rollback => "MigrationRollback",
    }
}

#[tokio::test]
async fn the_action_retry_reopens_a_failed_request_and_its_application_stays_synced() {
    let scene = Scene::new().await;
    let refused = Fault::on(Operation::Changing).answer(403).always();
    let request = scene.env.request(Kind::Restore, "refused", refused);
    scene.write("connectors", &request, &request.manifest());
    scene.repository.commit("Restore").await;
    scene.application("connectors", automated()).await;
    scene.until_health("connectors", "Degraded").await;
    assert_eq!(scene.offered(&request).await, ["retry"]);

    scene.env.sandbox.clear_faults();
    scene.act("retry", &request).await;
    scene.env.wait_for(&request, "Restored").await;
    let application = scene.until_health("connectors", "Healthy").await;
    assert_eq!(application["status"]["sync"]["status"], "Synced");
    assert_eq!(scene.offered(&request).await, [""; 0]);
    scene.sync("connectors").await;
    scene.env.settle().await;
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn the_actions_suspend_and_resume_hold_a_waiting_request_and_let_it_go_on() {
    let (scene, request) = failing("held", |manifest| manifest).await;
    scene.until("connectors", "synced", |it| it["status"]["sync"]["status"] == "Synced").await;
    assert_eq!(scene.offered(&request).await, ["retry", "suspend"]);
    scene.act("suspend", &request).await;
    scene.env.wait_for(&request, "Suspended").await;
    scene.until_health("connectors", "Suspended").await;
    let before = scene.env.attempts(&request).len();
    scene.sync("connectors").await;
    scene.env.settle().await;
    assert_eq!(scene.env.attempts(&request).len(), before);

    scene.env.sandbox.clear_faults();
    scene.act("resume", &request).await;
    scene.env.wait_for(&request, "RolledBack").await;
    let application = scene.until_health("connectors", "Healthy").await;
    assert_eq!(application["status"]["sync"]["status"], "Synced");
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn the_action_suspend_does_not_last_where_git_sets_the_field() {
    let (scene, request) = failing("set", |manifest| manifest.spec("suspend", false)).await;
    scene.until("connectors", "synced", |it| it["status"]["sync"]["status"] == "Synced").await;
    scene.act("suspend", &request).await;
    let begun = Instant::now();
    let before = scene.env.attempts(&request).len();
    // One attempt may have been under way.
    let called = async || (scene.env.attempts(&request).len() > before + 1).then_some(());
    eventually("more calls", called).await;
    eprintln!("called again after {:?}", begun.elapsed());
    assert_eq!(scene.env.get(request.kind, &request.name).await.0["spec"]["suspend"], false);
}

#[tokio::test]
async fn the_action_resume_starts_what_git_suspends_before_self_heal_suspends_it_again() {
    let scene = Scene::new().await;
    let request = scene.rollback("connectors", "prepared", |manifest| manifest.spec("suspend", true));
    scene.repository.commit("Prepare").await;
    scene.application("connectors", automated()).await;
    scene.until_health("connectors", "Suspended").await;
    assert_eq!(scene.offered(&request).await, ["resume"]);
    scene.act("resume", &request).await;
    scene.env.wait_for(&request, "RolledBack").await;
    let suspended = |it: &cde_harness::Object| it.0["spec"]["suspend"] == json!(true);
    scene.env.wait_until(request.kind, &request.name, "suspended again", suspended).await;
    scene.until_health("connectors", "Healthy").await;
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn a_suspended_request_ends_a_sync_and_a_wait_for_health_only_with_the_flag_suspended() {
    let scene = Scene::new().await;
    let request = scene.rollback("connectors", "prepared", |manifest| manifest.spec("suspend", true));
    scene.repository.commit("Prepare").await;
    scene.application("connectors", json!({})).await;
    let name = scene.name("connectors");
    scene.cli(&["app", "sync", &name, "--timeout", "120"]).await;
    until_applied(scene.argocd, &scene.env, &request).await;
    scene.until_health("connectors", "Suspended").await;
    let told =
        scene.installation.cli(&["app", "wait", &name, "--health", "--timeout", "3"]).await.unwrap_err();
    assert!(told.contains("timed out"), "{told}");
    scene.cli(&["app", "wait", &name, "--health", "--suspended", "--timeout", "120"]).await;
    scene.act("resume", &request).await;
    scene.cli(&["app", "wait", &name, "--health", "--timeout", "120"]).await;
    assert_eq!(scene.env.sandbox.effects(request.id), 1);
}

#[tokio::test]
async fn an_application_terminated_by_the_command_line_applies_the_next_commit() {
    let scene = Scene::new().await;
    let first = scene.rollback("connectors", "first", |it| it.spec("suspend", true));
    let second =
        scene.rollback("connectors", "second", |it| it.annotation("argocd.argoproj.io/sync-wave", "1"));
    scene.repository.commit("Roll back one after the other").await;
    scene.application("connectors", automated()).await;
    until_applied(scene.argocd, &scene.env, &first).await;
    scene.until("connectors", "waiting", |it| it["status"]["operationState"]["phase"] == "Running").await;
    let urgent = scene.rollback("connectors", "urgent", |manifest| manifest);
    scene.push("Roll back another", &["connectors"]).await;
    let name = scene.name("connectors");
    let told = scene.installation.cli(&["app", "sync", &name]).await.unwrap_err();
    assert!(told.contains("another operation is already in progress"), "{told}");
    scene.cli(&["app", "terminate-op", &name]).await;
    // Argo CD may miss the end of the operation, and then looks again after minutes, or when it is told to.
    eventually("the next commit is applied", async || {
        scene.cli(&["app", "get", &name, "--refresh"]).await;
        scene.env.objects(urgent.kind).get_opt(&urgent.name).await.expect("an answer")
    })
    .await;
    assert_eq!(scene.env.attempts(&second).len(), 0);
}

/// The rule in `deploy/argocd/README.md`.
#[tokio::test]
async fn the_sample_rule_allows_the_retry_of_a_rollback_and_no_other_action() {
    let scene = Scene::new().await;
    let readme = fs::read_to_string(workspace().join("deploy/argocd/README.md")).unwrap();
    let rule = readme.split(['`', '(', ')']).find(|text| text.starts_with("p, role:oncall,")).unwrap();
    let file = scene.installation.controllers.scratch.path().join("policy.csv");
    fs::write(&file, rule.replace('\n', " ")).unwrap();
    let (file, action) = (file.display().to_string(), "action/cde.productsup.com/MigrationRollback");
    let can = async |action: &str| {
        let object = ["applications", "default/connectors", "--policy-file", &file];
        let args = [&["admin", "settings", "rbac", "can", "role:oncall", action], &object[..]].concat();
        scene.installation.cli(&args).await
    };
    assert!(can(&format!("{action}/retry")).await.unwrap().contains("Yes"));
    let told = can(&format!("{action}/suspend")).await.unwrap_err();
    assert!(told.contains("No"), "{told}");
}
