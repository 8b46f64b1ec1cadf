//! The controllers of Kubernetes: Deployments, garbage collection and the end of namespaces. kwok plays the kubelet.

use std::time::Instant;

use cde_harness::{ControlPlane, Flags, Kind, Operator, SharedControlPlane, TestEnv};
use cde_sandbox::cde::{Fault, HoldPoint, Operation};
use cde_sandbox::control_plane::ControlPlane as Servers;
use cde_sandbox::controllers as tools;
use cde_sandbox::program::workspace;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::controller::{Controllers, built, eventually};

static CONTROL_PLANE: SharedControlPlane = SharedControlPlane::new();
static CONTROLLERS: OnceCell<Controllers> = OnceCell::const_new();

/// Returns the control plane of all these tests, with its controllers. The first test starts them.
pub(crate) async fn cluster() -> &'static Servers {
    controllers().await.assert_running();
    CONTROL_PLANE.get().await
}

/// Makes a test environment without an operator on [`cluster`].
pub(crate) async fn test_env() -> TestEnv {
    TestEnv::on(ControlPlane::Shared(cluster().await)).await
}

/// Installs CRDs of others with `kubectl apply` and these arguments.
pub(crate) async fn install_crds(args: &[&str]) {
    let servers = cluster().await;
    let apply = [&["apply", "--server-side"], args].concat();
    servers.kubectl_ok(&apply, "").await.unwrap_or_else(|error| panic!("{error:#}"));
    eventually("all kinds are served", async || {
        // kubectl fails where a CRD has no conditions yet.
        let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
        servers.kubectl_ok(&wait, "").await.ok()
    })
    .await;
}

async fn controllers() -> &'static Controllers {
    CONTROLLERS
        .get_or_init(|| async {
            let programs = built(tools::kube_controllers).await;
            let servers = CONTROL_PLANE.get().await;
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}});
            servers.kubectl_ok(&["apply", "-f", "-"], &node.to_string()).await.expect("a node");
            start(&programs, servers)
        })
        .await
}

fn start(programs: &tools::KubeControllers, servers: &Servers) -> Controllers {
    let controllers = Controllers::new();
    let commands = programs.commands(servers, &servers.kubeconfig(), controllers.scratch.path());
    for (name, command) in commands.expect("kwok's stages") {
        controllers.start(name, command);
    }
    controllers
}

async fn scene() -> (TestEnv, Operator) {
    let env = test_env().await;
    let operator = env.start(Flags::fast_retries()).await;
    (env, operator)
}

/// Waits until kubectl no longer finds this.
async fn until_gone(env: &TestEnv, what: &str) {
    let get = ["get", "--ignore-not-found", "-o", "name", what];
    eventually(&format!("{what} is gone"), async || {
        controllers().await.assert_running();
        env.kubectl(&get, "").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_namespace_deleted_during_a_call_is_gone_in_seconds_and_the_call_has_one_effect() {
    let (env, operator) = scene().await;
    let request = env.request(Kind::Rollback, "under-way", Fault::default());
    let mut held = env.sandbox.hold(Operation::Rollback, request.id, HoldPoint::BeforeEffect);
    env.apply(&request.manifest()).await;
    held.arrived().await.unwrap();
    let begun = Instant::now();
    env.kubectl(&["delete", "namespace", &env.namespace, "--wait=false"], "").await;
    held.release();
    until_gone(&env, &format!("namespace/{}", env.namespace)).await;
    eprintln!("the namespace was gone after {:?}", begun.elapsed());
    operator.wait_for_log(&request.name).await;
    assert_eq!(env.sandbox.effects(request.id), 1);
    assert_eq!(env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_request_deleted_in_the_foreground_during_a_call_is_gone_after_one_effect() {
    let (env, _operator) = scene().await;
    let request = env.request(Kind::Rollback, "under-way", Fault::default());
    let mut held = env.sandbox.hold(Operation::Rollback, request.id, HoldPoint::BeforeEffect);
    env.apply(&request.manifest()).await;
    held.arrived().await.unwrap();
    let delete = ["delete", "mrb", &request.name, "--cascade=foreground", "--wait=false"];
    env.kubectl(&delete, "").await;
    until_gone(&env, &format!("mrb/{}", request.name)).await;
    held.release();
    let effect = async || (env.sandbox.effects(request.id) == 1).then_some(());
    eventually("the call has its effect", effect).await;
    env.settle().await;
    assert_eq!(env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_request_goes_with_its_owner_and_undoes_nothing() {
    let (env, _operator) = scene().await;
    let request = env.request(Kind::Restore, "owned", Fault::default());
    env.kubectl(&["create", "configmap", "owner"], "").await;
    let owner: Value =
        serde_json::from_str(&env.kubectl(&["get", "configmap", "owner", "-o", "json"], "").await)
            .expect("JSON");
    let owners =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]);
    env.apply(&request.manifest()).await;
    env.patch(&request, json!({"metadata": {"ownerReferences": owners}})).await;
    env.wait_for(&request, "Restored").await;
    env.kubectl(&["delete", "configmap", "owner"], "").await;
    until_gone(&env, &format!("crst/{}", request.name)).await;
    assert_eq!(env.attempts(&request).len(), 1);
}

#[tokio::test]
async fn a_rollout_of_two_replicas_completes_and_a_scale_to_zero_leaves_no_pod() {
    let (env, _operator) = scene().await;
    let file = workspace().join("deploy/operator/deployment.yaml");
    let yaml = std::fs::read_to_string(file).unwrap();
    let mut deployment: Value = serde_saphyr::from_str(&yaml).unwrap();
    deployment["metadata"]["namespace"] = json!(env.namespace);
    deployment["spec"]["replicas"] = json!(2);
    env.kubectl(&["create", "serviceaccount", "cde-operator"], "").await;
    env.kubectl(&["apply", "-f", "-"], &deployment.to_string()).await;
    let status = ["rollout", "status", "deployment/cde-operator", "--timeout=4m"];
    env.kubectl(&status, "").await;
    let begun = Instant::now();
    env.kubectl(&["set", "image", "deployment/cde-operator", "cde-operator=cde-operator:0.1.1"], "").await;
    env.kubectl(&status, "").await;
    eprintln!("rolled out after {:?}", begun.elapsed());
    let pods = env
        .kubectl(
            &[
                "get",
                "pods",
                "-o",
                "jsonpath={.items[*].spec.containers[0].image}",
                "--field-selector=status.phase=Running",
            ],
            "",
        )
        .await;
    assert!(pods.split(' ').all(|image| image == "cde-operator:0.1.1"), "{pods}");
    let scale = ["scale", "deployment/cde-operator", "--replicas=0"];
    env.kubectl(&scale, "").await;
    eventually("no pod is left", async || {
        env.kubectl(&["get", "pods", "-o", "name"], "").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_outlives_the_deletion_of_its_crds_which_takes_every_record() {
    let programs = built(tools::kube_controllers).await;
    let own = ControlPlane::own().await;
    own.apply_crds().await;
    let controllers = start(&programs, &own);
    let env = TestEnv::on(own).await;
    let _operator = env.start(Flags::fast_retries()).await;
    let request = env.request(Kind::Rollback, "done", Fault::default());
    env.apply(&request.manifest()).await;
    env.wait_for(&request, "RolledBack").await;
    env.kubectl(&["delete", "crd", "--all"], "").await;
    controllers.assert_running();
    env.control_plane.apply_crds().await;
    assert_eq!(env.kubectl(&["get", "mrb", "-o", "name"], "").await, "");
    let later = env.request(Kind::Restore, "later", Fault::default());
    env.apply(&later.manifest()).await;
    env.wait_for(&later, "Restored").await;
    assert_eq!(env.attempts(&request).len(), 1);
}
