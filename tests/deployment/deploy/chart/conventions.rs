//! Values that users know from other charts.

use serde_json::{Value, json};

use super::{Helm, login, merge, rendered, values};
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
    let address = "https://wiki.example.com/cde/runbook";
    let linked = rendered(&values(json!({"prometheusRule": {"enabled": true, "runbookUrl": address}}))).await;
    for group in linked.only("PrometheusRule")["spec"]["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let entry = format!("{address}#{}", rule["alert"].as_str().unwrap().to_lowercase());
            assert_eq!(rule["annotations"]["runbook_url"], entry);
        }
    }
    let config = objects.only("ConfigMap");
    assert_eq!(config["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard = std::fs::read_to_string(path("deploy/monitoring/dashboard.json")).unwrap();
    assert_eq!(config["data"]["cde-operator.json"], dashboard);
}

/// Argo CD may write the name of its Application into this label of every object that it applies, but not of pods.
#[tokio::test]
async fn monitors_find_their_targets_also_after_the_relabeling_of_argo_cd() {
    let selects = |labels: &Value, selector: &Value| {
        let selector = selector["matchLabels"].as_object().unwrap();
        !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
    };
    for monitor in ["podMonitor", "serviceMonitor"] {
        let mut objects = rendered(&values(json!({"metrics": {monitor: {"enabled": true}}}))).await;
        for object in &mut objects.0 {
            object["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("an-application");
        }
        let target = if monitor == "podMonitor" {
            &objects.pod()["metadata"]["labels"]
        } else {
            let service = objects.only("Service");
            assert!(selects(
                &objects.pod()["metadata"]["labels"],
                &json!({"matchLabels": service["spec"]["selector"]})
            ));
            &service["metadata"]["labels"]
        };
        let kind = if monitor == "podMonitor" { "PodMonitor" } else { "ServiceMonitor" };
        assert!(selects(target, &objects.only(kind)["spec"]["selector"]), "{monitor}: {target}");
    }
}

#[tokio::test]
async fn the_service_has_the_address_families_of_the_cluster_unless_values_say_otherwise() {
    let service = async |families: Value| {
        let metrics = json!({"serviceMonitor": {"enabled": true}, "service": families});
        rendered(&values(json!({"metrics": metrics}))).await.only("Service")["spec"].clone()
    };
    let usual = service(json!({})).await;
    assert_eq!((usual.get("ipFamilyPolicy"), usual.get("ipFamilies")), (None, None));
    let mine = service(json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]})).await;
    assert_eq!((&mine["ipFamilyPolicy"], &mine["ipFamilies"]), (&json!("SingleStack"), &json!(["IPv6"])));
}

#[tokio::test]
async fn the_policy_allows_both_address_families_by_default() {
    let objects = rendered(&login(json!({"networkPolicy": {"enabled": true}}))).await;
    let egress = objects.only("NetworkPolicy")["spec"]["egress"].as_array().unwrap();
    for rule in &egress[1..] {
        let both = json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]);
        assert_eq!(rule["to"], both);
    }
}

#[tokio::test]
async fn the_preset_for_openshift_finds_dns_where_openshift_has_it() {
    let dns = async |more: Value| {
        let mut policy = json!({"enabled": true, "preset": "openshift"});
        merge(&mut policy, more);
        let objects = rendered(&values(json!({"networkPolicy": policy}))).await;
        objects.only("NetworkPolicy")["spec"]["egress"][0].clone()
    };
    let openshift = json!({"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}});
    let ports = |port: u16| json!([{"protocol": "UDP", "port": port}, {"protocol": "TCP", "port": port}]);
    let usual = dns(json!({})).await;
    assert_eq!((&usual["to"], &usual["ports"]), (&json!([{"namespaceSelector": openshift}]), &ports(5353)));
    let mine = json!([{"ipBlock": {"cidr": "169.254.20.10/32"}}]);
    let changed = dns(json!({"dns": {"peers": mine, "port": 54}})).await;
    assert_eq!((&changed["to"], &changed["ports"]), (&mine, &ports(54)));
}

/// Returns the egress rules of the `CiliumNetworkPolicy`, after checks of what does not depend on the values.
async fn cilium(mut all: Value) -> Vec<Value> {
    merge(&mut all, json!({"networkPolicy": {"enabled": true, "preset": "cilium"}}));
    let objects = rendered(&all).await;
    let ingress = &objects.only("NetworkPolicy")["spec"];
    assert_eq!((&ingress["policyTypes"], ingress.get("egress")), (&json!(["Ingress"]), None));
    let policy = &objects.only("CiliumNetworkPolicy")["spec"];
    assert_eq!(policy["endpointSelector"], ingress["podSelector"], "both apply to the same pods");
    let egress = policy["egress"].as_array().unwrap().clone();
    assert_eq!(egress[0]["toPorts"][0]["rules"]["dns"], json!([{"matchPattern": "*"}]));
    egress[1..].to_vec()
}

/// A rule of Cilium for one port.
fn to(peers: &str, value: &Value, port: &str) -> Value {
    json!({peers: value, "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}]}]})
}

#[tokio::test]
async fn the_preset_for_cilium_names_the_api_server_and_the_hosts() {
    let api_server = json!({"toEntities": ["kube-apiserver"], "toPorts": [{"ports": [
        {"port": "443", "protocol": "TCP"}, {"port": "6443", "protocol": "TCP"},
    ]}]});
    let names =
        |hosts: &[&str]| json!(hosts.iter().map(|host| json!({"matchName": host})).collect::<Vec<_>>());
    let cde = to("toFQDNs", &names(&["cde.example.com"]), "443");
    assert_eq!(cilium(values(json!({}))).await, [api_server.clone(), cde.clone()]);
    assert_eq!(
        cilium(login(json!({}))).await,
        [api_server.clone(), cde, to("toFQDNs", &names(&["login.example.com"]), "443")]
    );
    for (more, rule) in [
        (
            json!({"cde": {"url": "https://cde.example.com:8443/base"}}),
            to("toFQDNs", &names(&["cde.example.com"]), "8443"),
        ),
        (json!({"cde": {"url": "https://[2001:db8::1]"}}), to("toCIDR", &json!(["2001:db8::1/128"]), "443")),
        (json!({"cde": {"url": "https://192.0.2.1:8443"}}), to("toCIDR", &json!(["192.0.2.1/32"]), "8443")),
        (
            json!({"proxy": {"https": "http://proxy.example.com:3128"}}),
            to("toFQDNs", &names(&["proxy.example.com"]), "3128"),
        ),
        (
            json!({"networkPolicy": {"cde": {"cidrs": ["192.0.2.0/24"]}}}),
            to("toCIDR", &json!(["192.0.2.0/24"]), "443"),
        ),
    ] {
        assert_eq!(cilium(values(more)).await, [api_server.clone(), rule]);
    }
    let policy = json!({"apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]}, "extraEgress": [{"toEntities": ["world"]}]});
    let egress = cilium(values(json!({"networkPolicy": policy}))).await;
    assert_eq!(egress[0], to("toCIDR", &json!(["10.0.0.1/32"]), "6443"));
    assert_eq!(egress[2], json!({"toEntities": ["world"]}));
}

#[tokio::test]
async fn the_preset_for_cilium_leaves_egress_alone_if_only_ingress_is_wanted() {
    let policy = json!({"enabled": true, "preset": "cilium", "ingressOnly": true});
    let objects = rendered(&values(json!({"networkPolicy": policy}))).await;
    assert!(objects.of("CiliumNetworkPolicy").is_empty());
    assert_eq!(objects.only("NetworkPolicy")["spec"]["policyTypes"], json!(["Ingress"]));
}
