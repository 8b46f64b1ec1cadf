//! What `kubectl apply -k deploy/` installs.

use std::collections::BTreeMap;
use std::process::Command;

use cde_sandbox::process;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::deploy::fixture::{OPERATOR_NAMESPACE, installed, object, path, rendered};

/// The annotations that keep an object when Argo CD, Helm or Flux would delete it.
const KEPT: [(&str, &str); 3] = [
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
    ("helm.sh/resource-policy", "keep"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];

#[tokio::test]
async fn the_api_server_accepts_the_whole_base() {
    let control_plane = installed().await;
    let deploy = path("deploy");
    let apply = ["apply", "-k", &deploy, "--dry-run=server", "--validate=strict"];
    let told = control_plane.kubectl_ok(&apply, "").await.unwrap();
    let objects = rendered("deploy").await.len();
    assert_eq!(told.lines().filter(|line| line.ends_with("(server dry run)")).count(), objects, "{told}");
    assert!(told.contains("deployment.apps/cde-operator created"), "{told}");
}

#[tokio::test]
async fn an_overlay_sets_the_url_and_the_image_as_the_base_describes() {
    let control_plane = installed().await;
    let base = path("deploy");
    // Kustomize takes relative paths only. Both are below the root.
    let up = "../".repeat(control_plane.dir().components().count());
    let overlay = control_plane.dir().join("overlay");
    std::fs::create_dir(&overlay).unwrap();
    let kustomization = json!({
        "resources": [format!("{up}{}", base.trim_start_matches('/'))],
        "images": [{"name": "cde-operator", "newName": "registry.example/cde-operator", "newTag": "9.9.9"}],
        "configMapGenerator": [{
            "name": "cde-operator",
            "namespace": OPERATOR_NAMESPACE,
            "behavior": "merge",
            "literals": ["CDE_URL=https://cde.example"],
        }],
    });
    std::fs::write(overlay.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    let yaml = control_plane.kubectl_ok(&["kustomize", overlay.to_str().unwrap()], "").await.unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let container = &of("Deployment")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/cde-operator:9.9.9");
    assert_eq!(of("ConfigMap")["data"]["CDE_URL"], "https://cde.example");
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], of("ConfigMap")["metadata"]["name"]);
}

/// Returns a Pod as the Deployment's controller would create it.
async fn pod(name: &str) -> Value {
    let deployment = object("Deployment", "cde-operator").await;
    let mut pod = deployment["spec"]["template"].clone();
    pod["metadata"]["name"] = json!(name);
    pod
}

async fn create(pod: Value) -> kube::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(installed().await.admin().await.unwrap(), OPERATOR_NAMESPACE);
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await
}

#[tokio::test]
async fn a_pod_of_the_deployment_passes_restricted_admission() {
    let created = create(pod("as-it-is").await).await.unwrap();
    let spec = created.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("cde-operator"));
    let volumes = spec.volumes.unwrap();
    assert!(volumes.iter().any(|volume| volume.projected.is_some()), "it has a token of its service account");
}

#[tokio::test]
async fn a_pod_with_more_privileges_than_the_deployment_is_rejected_in_its_namespace() {
    for (part, value) in [
        ("/spec/securityContext/runAsNonRoot", json!(null)),
        ("/spec/securityContext/seccompProfile", json!(null)),
        ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/spec/containers/0/securityContext/capabilities", json!(null)),
    ] {
        let mut pod = pod("with-more").await;
        *pod.pointer_mut(part).unwrap() = value;
        let error = create(pod).await.unwrap_err().to_string();
        assert!(error.contains("violates PodSecurity"), "{part}: {error}");
    }
}

#[tokio::test]
async fn the_token_is_mounted_read_only_and_follows_the_secret() {
    let spec = pod("mounts").await["spec"].take();
    let container = &spec["containers"][0];
    let mount = &container["volumeMounts"][0];
    assert_eq!(mount["mountPath"], "/var/run/secrets/cde");
    assert_eq!(mount.get("subPath"), None, "a file mounted by subPath is never updated");
    assert_eq!(literals().await["CDE_TOKEN_FILE"], "/var/run/secrets/cde/token");
    let secret = json!({"secretName": "cde-operator-token", "items": [{"key": "token", "path": "token"}]});
    assert_eq!(spec["volumes"][0]["secret"], secret);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
}

#[tokio::test]
async fn the_base_calls_nobody_until_an_overlay_sets_the_url() {
    let spec = pod("arguments").await["spec"].take();
    let container = &spec["containers"][0];
    assert_eq!(container["args"], json!(["run"]), "a flag would hide the literal of the same name");
    // The kubelet copies the last lines of a log into the status of a pod whose container failed.
    assert_eq!(container["terminationMessagePolicy"], "FallbackToLogsOnError");
    let mut variables = literals().await;
    let said = rejection(&variables).await;
    assert!(said.contains("required arguments were not provided: --url <URL>"), "{said}");
    variables.insert("CDE_URL".to_owned(), "https://cde.example.com".to_owned());
    let said = rejection(&variables).await;
    // The only remaining error is about the Secret, which is mounted only in a pod.
    assert!(said.contains("/var/run/secrets/cde/token"), "{said}");
}

/// Returns the literals of the base.
async fn literals() -> BTreeMap<String, String> {
    let config = rendered("deploy").await.into_iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    serde_json::from_value(config["data"].clone()).unwrap()
}

/// Returns the sentence with which the operator rejects these variables.
async fn rejection(variables: &BTreeMap<String, String>) -> String {
    let mut operator = Command::new(cde_harness::operator_program());
    operator.arg("run").env_clear().envs(variables);
    let ended = process::output(operator, b"").await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// The repository as a server of Git has it, with a tag.
#[tokio::test]
async fn an_overlay_anywhere_can_refer_to_a_tag_of_the_repository() {
    let control_plane = installed().await;
    let repository = control_plane.dir().join("repository");
    std::fs::create_dir(&repository).unwrap();
    for part in ["crds", "deploy"] {
        let mut copy = Command::new("cp");
        copy.args(["-r", &path(part)]).arg(&repository);
        assert!(process::output(copy, b"").await.unwrap().status.success());
    }
    for command in [
        "init -q",
        "add .",
        "-c user.name=a -c user.email=a@example.com commit -q -m released",
        "tag v9.9.9",
        "rm -q -r deploy",
        "-c user.name=a -c user.email=a@example.com commit -q -m later",
    ] {
        let mut git = Command::new("git");
        git.arg("-C").arg(&repository).args(command.split(' '));
        let output = process::output(git, b"").await.unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let overlay = control_plane.dir().join("remote-overlay");
    std::fs::create_dir(&overlay).unwrap();
    let kustomization = documented_overlay()
        .replace("https://git.example.com/cde-operator.git", &format!("file://{}", repository.display()))
        .replace(concat!("?ref=v", env!("CARGO_PKG_VERSION")), "?ref=v9.9.9");
    assert_eq!(kustomization.matches("?ref=v9.9.9").count(), 3, "{kustomization}");
    std::fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
    let yaml = control_plane.kubectl_ok(&["kustomize", overlay.to_str().unwrap()], "").await.unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    // The RoleBinding takes the place of a ClusterRoleBinding.
    assert_eq!(objects.len(), rendered("deploy").await.len() + 1);
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    assert_eq!(of("ConfigMap")["data"]["CDE_URL"], "https://cde.example.com");
    assert_eq!(of("ConfigMap")["data"]["CDE_NAMESPACES"], "connectors");
    of("PodDisruptionBudget");
}

/// The kustomization in the page on the installation, over the release's `install.yaml`.
#[tokio::test]
async fn the_documented_kustomization_completes_the_released_manifest() {
    let control_plane = installed().await;
    let directory = control_plane.dir().join("released");
    std::fs::create_dir(&directory).unwrap();
    let released = control_plane.kubectl_ok(&["kustomize", &path("deploy")], "").await.unwrap();
    std::fs::write(directory.join("install.yaml"), &released).unwrap();
    let page = std::fs::read_to_string(path("docs/install.md")).unwrap();
    let documented =
        page.split("```yaml\n").find(|block| block.contains("resources: [install.yaml]")).unwrap();
    std::fs::write(directory.join("kustomization.yaml"), documented.split_once("```").unwrap().0).unwrap();
    let yaml = control_plane.kubectl_ok(&["kustomize", directory.to_str().unwrap()], "").await.unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    assert_eq!(of("ConfigMap")["data"]["CDE_URL"], "https://cde.example.com");
    let image = concat!("registry.example.com/cde-operator:", env!("CARGO_PKG_VERSION"));
    assert_eq!(of("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"], image);
}

/// Returns the overlay in the page on the installation.
fn documented_overlay() -> String {
    let page = std::fs::read_to_string(path("docs/install.md")).unwrap();
    let (_, rest) = page.split_once("# kustomization.yaml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn a_stopping_pod_has_time_to_finish_and_record_a_call() {
    let spec = pod("grace").await["spec"].take();
    let (call, rest) = (30, 10);
    assert!(spec["terminationGracePeriodSeconds"].as_u64().unwrap() >= call + rest);
}

#[tokio::test]
async fn the_crds_and_the_namespace_are_marked_to_be_kept() {
    let mut kept = Vec::new();
    for object in rendered("deploy").await {
        let annotations = &object["metadata"]["annotations"];
        if KEPT.iter().all(|(key, value)| annotations[key] == *value) {
            kept.push(object["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    kept.sort();
    let expected =
        [OPERATOR_NAMESPACE, "connectorrestores.cde.productsup.com", "migrationrollbacks.cde.productsup.com"];
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn the_operator_can_be_removed_without_the_crds() {
    for part in ["deploy/operator", "deploy/rbac", "deploy/policies/warnings"] {
        for object in rendered(part).await {
            assert!(object["kind"] != "CustomResourceDefinition" && object["kind"] != "Namespace", "{part}");
        }
    }
    let mut parts = 0;
    for part in ["deploy/operator", "deploy/rbac", "deploy/policies/warnings"] {
        parts += rendered(part).await.len();
    }
    let kept = 3;
    assert_eq!(parts + kept, rendered("deploy").await.len());
}
