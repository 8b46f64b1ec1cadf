//! Admission as strict clusters have it: Pod Security `restricted`, and what `restricted-v2` of `OpenShift` demands.
//! `OpenShift` assigns the user, the group and the `SELinux` level of a pod, so a pod must leave them open and must also work
//! with them.

use cde_sandbox::cde::new_id;
use cde_sandbox::control_plane::ControlPlane;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::deploy::fixture::{eventually, rendered};
use crate::deploy::{chart, components, others};

/// The namespace whose pods the policy below and Pod Security judge.
const NAMESPACE: &str = "restricted-v2";

/// What `restricted-v2` demands, with the message of each rejection.
const DEMANDS: [(&str, &str); 7] = [
    (
        "the node's namespaces are not shared",
        "!pod.?hostNetwork.orValue(false) && !pod.?hostPID.orValue(false) && !pod.?hostIPC.orValue(false)",
    ),
    (
        "no port of the node is used",
        "containers.all(one, one.?ports.orValue([]).all(port, port.?hostPort.orValue(0) == 0))",
    ),
    (
        "volumes have allowed types",
        "pod.?volumes.orValue([]).all(one, has(one.configMap) || has(one.csi) || has(one.downwardAPI) || \
         has(one.emptyDir) || has(one.ephemeral) || has(one.persistentVolumeClaim) || has(one.projected) || \
         has(one.secret))",
    ),
    (
        "privileges cannot grow",
        "containers.all(one, has(one.securityContext) && !one.securityContext.?privileged.orValue(false) && \
         !one.securityContext.?allowPrivilegeEscalation.orValue(true))",
    ),
    (
        "all capabilities are dropped",
        "containers.all(one, has(one.securityContext) && has(one.securityContext.capabilities) && \
         'ALL' in one.securityContext.capabilities.?drop.orValue([]) && \
         one.securityContext.capabilities.?add.orValue([]).all(name, name == 'NET_BIND_SERVICE'))",
    ),
    (
        "the seccomp profile is that of the runtime",
        "containers.all(one, one.?securityContext.?seccompProfile.?type\
         .orValue(pod.?securityContext.?seccompProfile.?type.orValue('')) == 'RuntimeDefault')",
    ),
    (
        "user, group and SELinux context are left open",
        "!has(pod.securityContext) || !has(pod.securityContext.runAsUser) && !has(pod.securityContext.fsGroup) && \
         !has(pod.securityContext.seLinuxOptions) && containers.all(one, !has(one.securityContext) || \
         !has(one.securityContext.runAsUser) && !has(one.securityContext.seLinuxOptions))",
    ),
];

/// Returns the control plane with the namespace and the policy in force.
async fn installed() -> &'static ControlPlane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let control_plane = others::installed().await;
    INSTALLED.get_or_init(|| install(control_plane)).await;
    control_plane
}

async fn install(control_plane: &ControlPlane) {
    let level = "pod-security.kubernetes.io/enforce";
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {level: "restricted"}},
    });
    let account = |name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}});
    let in_here = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}});
    let demands: Vec<Value> = DEMANDS
        .iter()
        .map(|(message, expression)| {
            let expression =
                expression.replace("pod.", "object.spec.").replace("containers.", "variables.all.");
            json!({"message": message, "expression": expression})
        })
        .collect();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAMESPACE},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},
            ]},
            "variables": [{
                "name": "all",
                "expression": "object.spec.containers + object.spec.?initContainers.orValue([])",
            }],
            "validations": demands,
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAMESPACE},
        "spec": {"policyName": NAMESPACE, "validationActions": ["Deny"], "matchResources": in_here},
    });
    let operator = account("cde-operator");
    for object in [namespace, operator, policy, binding] {
        control_plane.kubectl_ok(&["create", "-f", "-"], &object.to_string()).await.unwrap();
    }
    let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsUser": 65532});
    eventually("the policy is in force", async || {
        create(control_plane, &pod).await.is_err_and(|error| error.contains(DEMANDS[6].0))
    })
    .await;
}

/// Creates a pod from a template, as a dry run, and returns the error.
async fn create(control_plane: &ControlPlane, template: &Value) -> Result<(), String> {
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"] = json!({"name": format!("pod-{}", new_id()), "labels": pod["metadata"]["labels"]});
    pod["spec"]["serviceAccountName"] = json!("cde-operator");
    let create = ["create", "-n", NAMESPACE, "-f", "-", "--dry-run=server", "--validate=strict"];
    let created = control_plane.kubectl_ok(&create, &pod.to_string()).await;
    created.map(drop).map_err(|error| error.to_string())
}

/// Returns every pod of the chart and of the base, with and without components.
async fn pods() -> Vec<(String, Value)> {
    let mut renderings = chart::every_rendering().await;
    renderings.extend(components::every_rendering().await);
    renderings.push(("the base".to_owned(), rendered("deploy").await));
    let mut pods = Vec::new();
    for (what, objects) in renderings {
        // One that sets other security contexts on purpose.
        if what.contains("everything") {
            continue;
        }
        for object in objects {
            match object["kind"].as_str().unwrap() {
                "Pod" => pods.push((format!("the check of {what}"), object)),
                "Deployment" => pods.push((what.clone(), object["spec"]["template"].clone())),
                _ => {}
            }
        }
    }
    pods
}

#[tokio::test]
async fn pods_pass_admission_as_on_openshift_before_and_after_it_assigns_their_user() {
    let control_plane = installed().await;
    let pods = pods().await;
    assert!(pods.iter().filter(|(what, _)| what.starts_with("the check")).count() > 5, "{}", pods.len());
    for (what, pod) in &pods {
        create(control_plane, pod).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    // What OpenShift sets, in a namespace where only Pod Security judges.
    let plain = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "assigned", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    control_plane.kubectl_ok(&["create", "-f", "-"], &plain.to_string()).await.unwrap();
    control_plane
        .kubectl_ok(&["create", "serviceaccount", "cde-operator", "-n", "assigned"], "")
        .await
        .unwrap();
    for (what, pod) in &pods {
        let mut pod = pod.clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"] = json!({"name": format!("pod-{}", new_id())});
        pod["spec"]["serviceAccountName"] = json!("cde-operator");
        pod["spec"]["securityContext"]["fsGroup"] = json!(1_000_650_000);
        pod["spec"]["securityContext"]["seLinuxOptions"] = json!({"level": "s0:c26,c5"});
        pod["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(1_000_650_000);
        let create = ["create", "-n", "assigned", "-f", "-", "--dry-run=server", "--validate=strict"];
        let created = control_plane.kubectl_ok(&create, &pod.to_string()).await;
        created.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[tokio::test]
async fn each_demand_of_openshift_rejects_a_pod_that_breaks_it() {
    let control_plane = installed().await;
    let base = rendered("deploy").await;
    let deployment = base.iter().find(|object| object["kind"] == "Deployment").unwrap();
    for (part, value, demand) in [
        ("/spec/hostNetwork", json!(true), 0),
        ("/spec/containers/0/ports/0/hostPort", json!(8080), 1),
        ("/spec/volumes/0", json!({"name": "cde-token", "hostPath": {"path": "/tmp"}}), 2),
        ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true), 3),
        ("/spec/containers/0/securityContext/capabilities/drop", json!(["KILL"]), 4),
        ("/spec/securityContext/seccompProfile/type", json!("Unconfined"), 5),
        ("/spec/securityContext/fsGroup", json!(1000), 6),
        ("/spec/containers/0/securityContext/runAsUser", json!(65532), 6),
    ] {
        let mut pod = deployment["spec"]["template"].clone();
        let (parent, key) = part.rsplit_once('/').unwrap();
        match pod.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            parent => parent[key] = value,
        }
        let error = create(control_plane, &pod).await.unwrap_err();
        // Pod Security rejects most of them as well, and only one rejection is reported.
        let rejected = error.contains(DEMANDS[demand].0) || error.contains("violates PodSecurity");
        assert!(rejected, "{part}: {error}");
    }
}
