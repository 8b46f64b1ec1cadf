//! The effect of each value on the rendered objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Helm, Objects, choices, everything, rendered, values};
use crate::deploy::fixture::path;

/// Returns whether `labels` has everything that `selector` has.
fn selects(labels: &Value, selector: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
}

#[tokio::test]
async fn two_replicas_get_a_disruption_budget_and_are_spread_and_one_does_not() {
    let one = rendered(&values(json!({}))).await;
    assert!(one.of("PodDisruptionBudget").is_empty());
    assert_eq!(one.pod()["spec"].get("topologySpreadConstraints"), None);

    let two = rendered(&values(json!({"replicaCount": 2}))).await;
    assert_eq!(two.only("Deployment")["spec"]["replicas"], 2);
    assert_eq!(two.flags()["leader-election"], "true");
    assert_eq!(two.only("PodDisruptionBudget")["spec"]["minAvailable"], 1);
    let spread = &two.pod()["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");

    let percentage = json!({"replicaCount": 2, "podDisruptionBudget": {"maxUnavailable": "50%"}});
    let budget = rendered(&values(percentage)).await.only("PodDisruptionBudget")["spec"].clone();
    assert_eq!((&budget["maxUnavailable"], &budget["minAvailable"]), (&json!("50%"), &Value::Null));
    let without = json!({"replicaCount": 2, "podDisruptionBudget": {"enabled": false}});
    assert!(rendered(&values(without)).await.of("PodDisruptionBudget").is_empty());
}

#[tokio::test]
async fn every_selector_matches_only_the_pods_of_the_release() {
    let mut all = everything();
    all["metrics"]["podMonitor"] = json!({"enabled": true});
    all["metrics"]["serviceMonitor"] = json!({"enabled": false});
    for values in [everything(), all] {
        let objects = rendered(&values).await;
        let labels = &objects.pod()["metadata"]["labels"];
        let spread = &objects.pod()["spec"]["topologySpreadConstraints"][0];
        let mut selectors = vec![
            &objects.only("Deployment")["spec"]["selector"]["matchLabels"],
            &objects.only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
            &spread["labelSelector"]["matchLabels"],
        ];
        selectors.extend(objects.of("PodMonitor").iter().map(|one| &one["spec"]["selector"]["matchLabels"]));
        selectors.extend(objects.of("Service").iter().map(|one| &one["spec"]["selector"]));
        assert_eq!(selectors.len(), 4);
        for selector in selectors {
            assert!(selects(labels, selector), "{selector} does not select {labels}");
        }
    }
}

#[tokio::test]
async fn monitors_scrape_the_metrics_port() {
    let port = |objects: &Objects| {
        let port = objects.container()["ports"][0].clone();
        assert_eq!(port["name"], "http");
        port["containerPort"].clone()
    };
    let pods = rendered(&values(json!({"metrics": {"podMonitor": {"enabled": true}}}))).await;
    assert_eq!(port(&pods), 8080);
    let scraped = json!([{"port": "http", "path": "/metrics"}]);
    assert_eq!(pods.only("PodMonitor")["spec"]["podMetricsEndpoints"], scraped);
    assert!(pods.of("Service").is_empty());

    let service = rendered(&everything()).await;
    assert_eq!(port(&service), 9090);
    let monitor = service.only("ServiceMonitor");
    let scraped = json!([{
        "port": "http", "path": "/metrics", "interval": "15s", "scrapeTimeout": "5s",
        "relabelings": [{"action": "labelmap", "regex": "x_(.+)"}],
        "metricRelabelings": [{"action": "drop", "regex": "go_.+", "sourceLabels": ["__name__"]}],
    }]);
    assert_eq!(monitor["spec"]["endpoints"], scraped);
    assert_eq!(monitor["metadata"]["labels"]["release"], "kube-prometheus-stack");
    let (service, wanted) = (service.only("Service"), &monitor["spec"]["selector"]["matchLabels"]);
    assert!(selects(&service["metadata"]["labels"], wanted));
    assert_eq!(service["spec"]["ports"], json!([{"name": "http", "port": 9090, "targetPort": "http"}]));
}

#[tokio::test]
async fn a_stopping_pod_has_time_to_finish_and_record_a_call() {
    for (timeout, seconds) in [("100ms", 16), ("30s", 45), ("1m30s", 105), ("55m", 3315)] {
        let objects = rendered(&values(json!({"cde": {"timeout": timeout}}))).await;
        let granted = objects.pod()["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert_eq!(granted, seconds, "{timeout}");
    }
    let more = json!({"terminationGracePeriodSeconds": 60});
    assert_eq!(rendered(&values(more)).await.pod()["spec"]["terminationGracePeriodSeconds"], 60);
}

/// Returns the ports that the network policy allows to each block.
pub(super) async fn lets_out(mut all: Value) -> Vec<Vec<u64>> {
    super::merge(&mut all, json!({"networkPolicy": {"enabled": true}}));
    let objects = rendered(&all).await;
    let egress = objects.only("NetworkPolicy")["spec"]["egress"].as_array().unwrap().clone();
    let ports = |rule: &Value| {
        rule["ports"].as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()).collect()
    };
    egress.iter().map(ports).collect()
}

#[tokio::test]
async fn the_network_policy_allows_egress_only_to_dns_the_api_server_and_the_cde() {
    for (more, port) in [
        (json!({}), 443),
        (json!({"cde": {"url": "https://cde.example.com:8443/base"}}), 8443),
        (json!({"cde": {"url": "http://cde.example.com", "allowHttp": true}}), 80),
        (json!({"proxy": {"https": "http://proxy:3128"}}), 3128),
        (json!({"proxy": {"http": "http://proxy:3129"}}), 443),
        (json!({"networkPolicy": {"cde": {"ports": [7]}}}), 7),
    ] {
        assert_eq!(
            lets_out(values(more.clone())).await,
            [vec![53, 53], vec![443, 6443], vec![port]],
            "{more}"
        );
    }
    let policy = rendered(&values(json!({"networkPolicy": {"enabled": true}}))).await;
    let spec = &policy.only("NetworkPolicy")["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], json!([{"ports": [{"protocol": "TCP", "port": "http"}]}]));
    for rule in spec["egress"].as_array().unwrap() {
        assert!(rule["to"].as_array().is_some_and(|to| !to.is_empty()), "{rule}");
    }
    let pods = json!({
        "matchLabels": {"app.kubernetes.io/instance": "cde-operator"},
        "matchExpressions": [{
            "key": "app.kubernetes.io/name", "operator": "In", "values": ["cde-operator", "cde-operator-check"],
        }],
    });
    assert_eq!(spec["podSelector"], pods);
    for pod in [policy.pod(), policy.only("Pod")] {
        let labels = &pod["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/instance"], "cde-operator");
        let names = pods["matchExpressions"][0]["values"].as_array().unwrap();
        assert!(names.contains(&labels["app.kubernetes.io/name"]), "{labels}");
    }

    let mine = rendered(&everything()).await;
    let spec = &mine.only("NetworkPolicy")["spec"];
    assert_eq!(spec["egress"][1]["to"], json!([{"ipBlock": {"cidr": "10.0.0.1/32"}}]));
    assert_eq!(
        spec["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"].as_object().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_configuration_change_restarts_the_pods_and_a_new_chart_version_does_not() {
    let helm = Helm::new().await;
    let before = helm.template(&values(json!({}))).await.pod().clone();
    assert_ne!(*helm.template(&values(json!({"cde": {"rate": 5}}))).await.pod(), before);
    // Everything that names the version of the chart is outside of them.
    assert!(!before.to_string().contains("helm.sh/chart") && !before.to_string().contains("checksum"));
}

#[tokio::test]
async fn two_releases_in_one_namespace_share_nothing() {
    let helm = Helm::new().await;
    let mut seen = BTreeSet::new();
    let mut selectors = Vec::new();
    for release in ["cde-operator-a", "b"] {
        let mut all = values(
            json!({"crds": {"enabled": false}, "replicaCount": 2, "networkPolicy": {"enabled": true}}),
        );
        all["metrics"] = json!({"serviceMonitor": {"enabled": true}});
        let yaml = helm.yaml(release, &all).await.unwrap();
        let objects = Objects(serde_saphyr::from_multiple(&yaml).unwrap());
        assert!(objects.0.len() > 10);
        for object in &objects.0 {
            let of = |key: &str| object["metadata"][key].to_string();
            let id = (object["kind"].to_string(), of("namespace"), of("name"));
            assert!(seen.insert(id.clone()), "{release} has {id:?}, too");
        }
        selectors.push(objects.only("Deployment")["spec"]["selector"]["matchLabels"].clone());
    }
    assert!(!selects(&selectors[0], &selectors[1]) && !selects(&selectors[1], &selectors[0]));
}

#[tokio::test]
async fn the_crds_match_the_repository_or_are_left_out() {
    let with = rendered(&values(json!({}))).await;
    let found = with.of("CustomResourceDefinition");
    assert_eq!(found.len(), 2);
    for definition in found {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let file = std::fs::read_to_string(path(&format!("crds/{name}.yaml"))).unwrap();
        let expected: Value = serde_saphyr::from_str(&file).unwrap();
        assert_eq!(*definition, expected, "{name}: run `UPDATE_CRDS=1 cargo test --test generated crds::`");
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    let without = rendered(&values(json!({"crds": {"enabled": false}}))).await;
    assert!(without.of("CustomResourceDefinition").is_empty());
}

#[tokio::test]
async fn the_image_has_the_given_digest_or_the_version_of_the_chart() {
    let objects = rendered(&values(json!({}))).await;
    let repository = "registry.example.com/cde-operator";
    assert_eq!(objects.container()["image"], format!("{repository}:{}", env!("CARGO_PKG_VERSION")));
    let mut all = everything();
    let image = |objects: Objects| objects.container()["image"].as_str().unwrap().to_owned();
    let repository = "registry.example.com/team/cde-operator";
    assert_eq!(image(rendered(&all).await), format!("{repository}@sha256:{}", "0".repeat(64)));
    all["image"]["digest"] = json!("");
    assert_eq!(image(rendered(&all).await), format!("{repository}:other"));
}

#[tokio::test]
async fn the_ca_bundle_and_the_token_come_from_the_named_objects() {
    let objects = rendered(&everything()).await;
    let volumes = &objects.pod()["spec"]["volumes"];
    let token = json!({"secretName": "token-of-a-team", "items": [{"key": "bearer", "path": "token"}]});
    assert_eq!(volumes[0]["secret"], token);
    let roots = json!({"name": "roots", "items": [{"key": "roots.pem", "path": "ca.crt"}]});
    assert_eq!(volumes[1]["configMap"], roots);
    let mount = &objects.container()["volumeMounts"][1];
    assert_eq!((&mount["name"], &mount["mountPath"]), (&volumes[1]["name"], &json!("/var/run/cde-ca")));

    let secret = rendered(&values(json!({"cde": {"ca": {"secret": "roots"}}}))).await;
    let roots = json!({"secretName": "roots", "items": [{"key": "ca.crt", "path": "ca.crt"}]});
    assert_eq!(secret.pod()["spec"]["volumes"][1]["secret"], roots);
}

#[tokio::test]
async fn the_check_has_the_configuration_of_the_operator_and_is_not_one_of_its_pods() {
    for (what, values) in choices() {
        let objects = rendered(&values).await;
        let (check, operator) = (objects.only("Pod"), objects.pod());
        assert_eq!(check["metadata"]["annotations"]["helm.sh/hook"], "test", "{what}");
        let container = &check["spec"]["containers"][0];
        assert_eq!(container["args"], json!(["check"]), "{what}");
        for same in [
            "image",
            "imagePullPolicy",
            "env",
            "envFrom",
            "resources",
            "securityContext",
            "terminationMessagePolicy",
            "volumeMounts",
        ] {
            assert_eq!(container[same], objects.container()[same], "{what}");
        }
        for same in [
            "automountServiceAccountToken",
            "dnsConfig",
            "dnsPolicy",
            "hostAliases",
            "imagePullSecrets",
            "nodeSelector",
            "securityContext",
            "serviceAccountName",
            "tolerations",
            "volumes",
        ] {
            assert_eq!(check["spec"][same], operator["spec"][same], "{what}");
        }
        for of in ["labels", "annotations"] {
            for (key, value) in operator["metadata"][of].as_object().into_iter().flatten() {
                let own_name = key == "app.kubernetes.io/name";
                assert!(own_name || check["metadata"][of][key] == *value, "{what}: {key}");
            }
        }
        let selector = &objects.only("Deployment")["spec"]["selector"]["matchLabels"];
        assert!(!selects(&check["metadata"]["labels"], selector), "{what}");
    }
}

#[tokio::test]
async fn no_value_creates_a_secret_or_binds_anyone_but_the_operator() {
    for (what, values) in choices() {
        let objects = rendered(&values).await;
        assert!(objects.of("Secret").is_empty(), "{what}");
        let account = &objects.pod()["spec"]["serviceAccountName"];
        for binding in objects.0.iter().filter(|one| one["kind"].as_str().unwrap().ends_with("RoleBinding")) {
            let subjects = &binding["subjects"];
            assert_eq!((subjects.as_array().unwrap().len(), &subjects[0]["name"]), (1, account), "{what}");
        }
    }
}
