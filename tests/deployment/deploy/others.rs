//! Kinds of other projects. Those of the Prometheus operator have only the fields that the manifests use, because its own
//! CRDs are larger than everything else here. `CiliumNetworkPolicy` is Cilium's own CRD. Strict validation rejects any other
//! field.

use cde_sandbox::control_plane::ControlPlane;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::deploy::fixture;
use crate::tools::tools;

/// Returns the control plane of these tests with the kinds of other projects.
pub(crate) async fn installed() -> &'static ControlPlane {
    static KINDS: OnceCell<()> = OnceCell::const_new();
    let control_plane = fixture::installed().await;
    KINDS.get_or_init(|| install(control_plane)).await;
    control_plane
}

async fn install(control_plane: &ControlPlane) {
    let text = json!({"type": "string"});
    let relabelings = json!({"type": "array", "items": {"type": "object", "properties": {
        "action": text, "regex": text, "sourceLabels": {"type": "array", "items": text},
    }}});
    let endpoint = json!({"type": "object", "properties": {
        "port": text, "path": text, "interval": text, "scrapeTimeout": text,
        "relabelings": relabelings, "metricRelabelings": relabelings,
    }});
    let labels = json!({"type": "object", "additionalProperties": text});
    let monitor = |endpoints: &str| {
        json!({
            "type": "object",
            "required": ["selector", endpoints],
            "properties": {
                "selector": {"type": "object", "properties": {"matchLabels": labels}},
                endpoints: {"type": "array", "items": endpoint},
            },
        })
    };
    let rule = json!({"type": "object", "required": ["alert", "expr"], "properties": {
        "alert": text, "expr": text, "for": text, "labels": labels, "annotations": labels,
    }});
    let group = json!({"type": "object", "required": ["name"], "properties": {
        "name": text, "rules": {"type": "array", "items": rule},
    }});
    let rules = json!({"type": "object", "properties": {"groups": {"type": "array", "items": group}}});
    for (kind, spec) in [
        ("PodMonitor", monitor("podMetricsEndpoints")),
        ("ServiceMonitor", monitor("endpoints")),
        ("PrometheusRule", rules),
    ] {
        let definition = definition(kind, &spec);
        control_plane.kubectl_ok(&["create", "-f", "-"], &definition.to_string()).await.unwrap();
    }
    let crd = tools().await.cilium_network_policy_crd.display().to_string();
    control_plane.kubectl_ok(&["create", "-f", &crd], "").await.unwrap();
    let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    // kubectl gives up on a CRD that has no conditions yet.
    fixture::eventually("the kinds are served", async || control_plane.kubectl_ok(&wait, "").await.is_ok())
        .await;
    for kind in ["podmonitors", "servicemonitors", "prometheusrules", "ciliumnetworkpolicies"] {
        fixture::eventually("the kind can be explained", async || {
            control_plane.kubectl_ok(&["explain", kind], "").await.is_ok()
        })
        .await;
    }
}

fn definition(kind: &str, spec: &Value) -> Value {
    let singular = kind.to_lowercase();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{singular}s.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "plural": format!("{singular}s"), "singular": singular},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
            }],
        },
    })
}
