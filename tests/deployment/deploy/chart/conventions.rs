//! Values that users know from other charts.

use serde_json::{Value, json};

use super::{Helm, rendered, values};
use crate::deploy::fixture::path;

#[tokio::test]
async fn names_that_look_like_numbers_stay_strings() {
    let helm = Helm::new().await;
    for name in ["10042", "1e5"] {
        let all = values(json!({
            "nameOverride": name, "fullnameOverride": name, "namespaceOverride": name,
            "namespaces": [name], "serviceAccount": {"name": name}, "priorityClassName": name,
            "cde": {"token": {"secret": name, "key": name}, "ca": {"secret": name, "key": name}},
            "networkPolicy": {"enabled": true}, "replicaCount": 2,
        }));
        let yaml = helm.yaml(name, &all).await.unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        assert!(objects.len() > 10);
        for object in &objects {
            no_number(object, &["name", "namespace", "secretName", "key", "serviceAccountName"]);
            no_number(&object["metadata"]["labels"], &[]);
        }
    }
}

/// Checks that these keys, or all if none are named, hold no number at any depth.
fn no_number(value: &Value, keys: &[&str]) {
    if let Value::Object(fields) = value {
        for (key, value) in fields {
            assert!(
                !value.is_number() || !(keys.is_empty() || keys.contains(&key.as_str())),
                "{key}: {value}"
            );
            no_number(value, keys);
        }
    } else if let Value::Array(items) = value {
        for item in items {
            no_number(item, keys);
        }
    }
}

#[tokio::test]
async fn a_parent_chart_may_switch_this_chart_on() {
    rendered(&values(json!({"enabled": true, "global": {"any": "thing"}}))).await.only("Deployment");
}

#[tokio::test]
async fn another_strategy_than_a_rolling_update_has_no_settings_of_one() {
    let objects = rendered(&values(json!({"strategy": {"type": "Recreate"}}))).await;
    assert_eq!(objects.only("Deployment")["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[tokio::test]
async fn a_policy_for_ingress_only_leaves_egress_alone() {
    let objects = rendered(&values(json!({"networkPolicy": {"enabled": true, "ingressOnly": true}}))).await;
    let spec = &objects.only("NetworkPolicy")["spec"];
    assert_eq!((&spec["policyTypes"], spec.get("egress")), (&json!(["Ingress"]), None));
}

#[tokio::test]
async fn the_crds_go_with_the_release_where_that_is_wanted() {
    let annotations = json!({"example.com/team": "a"});
    let objects = rendered(&values(json!({"crds": {"keep": false, "annotations": annotations}}))).await;
    for crd in objects.of("CustomResourceDefinition") {
        assert_eq!(crd["metadata"]["annotations"], annotations);
    }
}

#[tokio::test]
async fn alerts_and_dashboard_are_those_of_the_repository() {
    let objects = rendered(&values(json!({
        "prometheusRule": {"enabled": true}, "dashboard": {"enabled": true},
    })))
    .await;
    let rules: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(path("deploy/monitoring/rules.yaml")).unwrap())
            .unwrap();
    assert_eq!(objects.only("PrometheusRule")["spec"], rules["spec"]);
    let config = objects.only("ConfigMap");
    assert_eq!(config["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard = std::fs::read_to_string(path("deploy/monitoring/dashboard.json")).unwrap();
    assert_eq!(config["data"]["cde-operator.json"], dashboard);
}
