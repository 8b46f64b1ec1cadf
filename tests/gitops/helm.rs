//! Helm 4, with requests in a chart, and with the operator's own chart.

use std::fs;
use std::process::Command;
use std::time::Instant;

use cde_harness::{ControlPlane, Flags, Kind, Manifest, Operator, Request, TestEnv, from_now};
use cde_sandbox::cde::{Fault, Operation};
use cde_sandbox::control_plane::OPERATOR_NAMESPACE;
use cde_sandbox::process::{self, ScratchDir, scratch_dir};
use cde_sandbox::{controllers, program};
use serde_json::json;

use crate::controller::built;
use crate::policies::Policy;

/// One test's namespace, simulated CDE API, operator and chart.
struct Scene {
    env: TestEnv,
    _operator: Operator,
    chart: ScratchDir,
    program: std::path::PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let program = program().await;
        let env = crate::kubernetes::test_env().await;
        let operator = env.start(Flags::fast_retries()).await;
        let chart = scratch_dir().unwrap();
        let metadata = json!({"apiVersion": "v2", "name": "connectors", "version": "0.1.0"});
        fs::write(chart.path().join("Chart.yaml"), metadata.to_string()).unwrap();
        fs::create_dir(chart.path().join("templates")).unwrap();
        Self { env, _operator: operator, chart, program }
    }

    fn write(&self, request: &Request, manifest: &Manifest) {
        fs::write(self.chart.path().join(format!("templates/{}.yaml", request.name)), manifest.yaml())
            .unwrap();
    }

    /// A rollback in the chart.
    fn rollback(&self, what: &str, fault: Fault, change: impl Fn(Manifest) -> Manifest) -> Request {
        let request = self.env.request(Kind::Rollback, what, fault);
        self.write(&request, &change(request.manifest()));
        request
    }

    /// Installs or upgrades the chart; the answer is what Helm printed.
    async fn release(&self, verb: &str, more: &[&str]) -> Result<String, String> {
        let chart = self.chart.path().display().to_string();
        let args = [&[verb, "connectors", &chart, "--timeout", "2m"], more].concat();
        self.helm(&args).await
    }

    async fn helm(&self, args: &[&str]) -> Result<String, String> {
        let args = [&["-n", &self.env.namespace], args].concat();
        run(&self.program, &self.env, self.chart.path(), &args).await
    }
}

pub(crate) async fn program() -> std::path::PathBuf {
    built(controllers::helm4).await
}

pub(crate) async fn run(
    program: &std::path::Path,
    env: &TestEnv,
    home: &std::path::Path,
    args: &[&str],
) -> Result<String, String> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HELM_") {
            command.env_remove(name);
        }
    }
    command.args(args).env("KUBECONFIG", env.control_plane.kubeconfig()).env("HOME", home.join("home"));
    let output = process::output(command, b"").await.expect("Helm");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[tokio::test]
async fn an_install_that_waits_ends_when_the_request_has_succeeded() {
    let scene = Scene::new().await;
    let once = Fault::on(Operation::Changing).answer(423).header("retry-after", "3");
    let request = scene.rollback("waited", once, |manifest| manifest);
    let begun = Instant::now();
    scene.release("install", &["--wait"]).await.unwrap();
    eprintln!("installed after {:?}", begun.elapsed());
    assert_eq!(scene.env.get(request.kind, &request.name).await.reason(), "RolledBack");
    scene.release("upgrade", &["--wait"]).await.unwrap();
    scene.helm(&["rollback", "connectors", "1", "--wait"]).await.unwrap();
    assert_eq!(scene.env.attempts(&request).len(), 2, "one was refused, one succeeded");
}

#[tokio::test]
async fn an_install_that_waits_fails_at_once_with_a_request_that_failed() {
    let scene = Scene::new().await;
    let refused = Fault::on(Operation::Changing).answer(403).always();
    let request = scene.rollback("refused", refused, |manifest| manifest);
    let begun = Instant::now();
    let told = scene.release("install", &["--wait"]).await.unwrap_err();
    eprintln!("failed after {:?}: {told}", begun.elapsed());
    assert!(told.contains(&request.name), "{told}");
}

#[tokio::test]
async fn a_request_as_a_hook_is_called_at_every_release() {
    let scene = Scene::new().await;
    let hook = |manifest: Manifest| manifest.annotation("helm.sh/hook", "pre-install,pre-upgrade");
    let request = scene.rollback("hook", Fault::default(), hook);
    scene.release("install", &[]).await.unwrap();
    let mut uids = vec![scene.env.uid(&request).await];
    scene.env.wait_for(&request, "RolledBack").await;
    for _ in 0..2 {
        scene.release("upgrade", &[]).await.unwrap();
        uids.push(scene.env.uid(&request).await);
        scene.env.wait_until_finished(&request).await;
    }
    uids.dedup();
    assert_eq!(uids.len(), 3);
    assert_eq!(scene.env.attempts(&request).len(), 3);
}

const SUSPEND: &str = r#"{"spec": {"suspend": true}}"#;

#[tokio::test]
async fn an_upgrade_after_a_patch_by_hand_conflicts_where_the_chart_sets_the_field() {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.rollback("patched", down, |manifest| manifest.spec("suspend", false));
    scene.release("install", &[]).await.unwrap();
    scene.env.kubectl(&["patch", "mrb", &request.name, "--type=merge", "-p", SUSPEND], "").await;
    scene.env.wait_for(&request, "Suspended").await;
    let told = scene.release("upgrade", &[]).await.unwrap_err();
    eprintln!("{told}");
    assert!(told.contains("conflict"), "{told}");
    assert_eq!(scene.env.get(request.kind, &request.name).await.0["spec"]["suspend"], true);
    scene.release("upgrade", &["--force-conflicts"]).await.unwrap();
    assert_eq!(scene.env.get(request.kind, &request.name).await.0["spec"]["suspend"], false);
}

#[tokio::test]
async fn an_upgrade_after_a_patch_by_hand_keeps_it_where_the_chart_leaves_the_field_out() {
    let scene = Scene::new().await;
    let down = Fault::on(Operation::Changing).answer(423).always();
    let request = scene.rollback("patched", down, |manifest| manifest);
    scene.release("install", &[]).await.unwrap();
    scene.env.kubectl(&["patch", "mrb", &request.name, "--type=merge", "-p", SUSPEND], "").await;
    scene.env.wait_for(&request, "Suspended").await;
    scene.release("upgrade", &[]).await.unwrap();
    assert_eq!(scene.env.get(request.kind, &request.name).await.0["spec"]["suspend"], true);
}

#[tokio::test]
async fn an_upgrade_keeps_a_retry_annotation_and_repeats_nothing() {
    let scene = Scene::new().await;
    let refused = Fault::on(Operation::Changing).answer(403);
    let request = scene.rollback("retried", refused, |manifest| manifest);
    scene.release("install", &[]).await.unwrap();
    scene.env.wait_for(&request, "AccessDenied").await;
    let retry = format!("cde.productsup.com/retry={}", from_now(0));
    scene.env.kubectl(&["annotate", "mrb", &request.name, &retry], "").await;
    scene.env.wait_for(&request, "RolledBack").await;
    scene.release("upgrade", &["--wait"]).await.unwrap();
    scene.env.settle().await;
    assert_eq!(scene.env.attempts(&request).len(), 2);
}

#[tokio::test]
async fn an_upgrade_scales_the_operator_up_again_unless_its_values_say_zero() {
    let program = program().await;
    // The chart's names are those of the whole cluster.
    let env = TestEnv::on(ControlPlane::own().await).await;
    let home = scratch_dir().unwrap();
    let chart = program::workspace().join("deploy/chart").display().to_string();
    let values = home.path().join("values.yaml");
    let required = json!({
        "image": {"repository": "registry.example.com/cde-operator"},
        "cde": {"url": "https://cde.example.com", "token": {"secret": "cde-operator-token"}},
    });
    fs::write(&values, required.to_string()).unwrap();
    let values = values.display().to_string();
    let release = async |args: &[&str]| {
        let all = [args, &["cde-operator", &chart, "-n", OPERATOR_NAMESPACE]].concat();
        run(&program, &env, home.path(), &all).await
    };
    // The roles were installed with kubectl.
    let refused = release(&["install", "-f", &values]).await.unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    release(&["install", "-f", &values, "--take-ownership"]).await.unwrap();
    let deployment = ["-n", OPERATOR_NAMESPACE, "deployment", "cde-operator"];
    let replicas = async || {
        let get = [&["get"], &deployment[..], &["-o", "jsonpath={.spec.replicas}"]].concat();
        env.control_plane.kubectl_ok(&get, "").await.unwrap()
    };
    let scale = [&["scale"], &deployment[..], &["--replicas=0"]].concat();
    env.control_plane.kubectl_ok(&scale, "").await.unwrap();
    release(&["upgrade", "-f", &values]).await.unwrap();
    assert_eq!(replicas().await, "1");

    env.control_plane.kubectl_ok(&scale, "").await.unwrap();
    release(&["upgrade", "-f", &values, "--set", "replicaCount=0", "--force-conflicts"]).await.unwrap();
    assert_eq!(replicas().await, "0");
    release(&["upgrade", "--reuse-values"]).await.unwrap();
    assert_eq!(replicas().await, "0");
}

#[tokio::test]
async fn the_brake_holds_under_upgrades_and_is_released_by_hand() {
    let scene = Scene::new().await;
    let brake = Policy::brake(&scene.env).await;
    let request = scene.rollback("braked", Fault::default(), |manifest| manifest);
    scene.release("install", &[]).await.unwrap();
    brake.until_it_refuses_a_claim_of(&scene.env, &request).await;
    scene.release("upgrade", &[]).await.unwrap();
    assert_eq!(scene.env.attempts(&request).len(), 0);
    brake.delete(&scene.env).await;
    scene.env.wait_for(&request, "RolledBack").await;
    assert_eq!(scene.env.attempts(&request).len(), 1);
}
