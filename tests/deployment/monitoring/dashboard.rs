//! The dashboard and the rules on a real Prometheus that scrapes a real operator.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::monitoring::fixture::{fast_retries, pause, populate};
use crate::monitoring::names::LOGIN_MODE;
use crate::monitoring::prometheus::{Prometheus, holds};
use crate::monitoring::repository::{alert_names, field, items, yaml};
use crate::tools::test_env;

pub(super) const DASHBOARD: &str = "deploy/monitoring/dashboard.json";

/// Returns its panels without the rows.
pub(super) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    items(&dashboard["panels"]).filter(|panel| field(panel, "type") != "row")
}

/// Returns a query as Grafana sends it, for all namespaces.
pub(super) fn filled(query: &str) -> String {
    let filled = query.replace("$namespace", ".*");
    let filled = filled.replace("$__rate_interval", "5m").replace("$__interval", "5m");
    assert!(!filled.contains('$'), "an unknown variable: {query}");
    filled
}

/// There is a memory limit only where this test runs with one, and a login only in login mode. A query with an alternative
/// has data in both modes.
fn may_be_empty(query: &str) -> bool {
    let of_a_login = LOGIN_MODE.iter().any(|name| query.contains(name));
    query.contains("memory_limit") || (of_a_login && !query.contains(" or "))
}

#[tokio::test]
async fn each_query_of_the_dashboard_returns_data_and_each_rule_is_evaluated() {
    let dashboard = yaml(DASHBOARD);
    let env = test_env().await;
    let operator = env.start(fast_retries().env("CDE_LEADER_ELECTION", "true")).await;
    let prometheus = Prometheus::start(&env, &operator).await;
    let waits = populate(&env).await;
    prometheus.until("sum(rate(cde_api_requests_total[5m]))", holds).await;
    pause(&env, &operator, waits).await;

    for panel in panels(&dashboard) {
        for target in items(&panel["targets"]) {
            let query = filled(field(target, "expr"));
            if may_be_empty(&query) {
                prometheus.values(&query).await;
            } else {
                prometheus.until(&query, |values| !values.is_empty()).await;
            }
        }
    }
    for annotation in items(&dashboard["annotations"]["list"]) {
        prometheus.values(&filled(field(annotation, "expr"))).await;
    }
    let namespaces =
        prometheus.get("label/namespace/values", &[("match[]", "cde_operator_build_info")]).await;
    assert_eq!(namespaces, serde_json::json!(["operators"]), "the variable of the dashboard");

    evaluated(&prometheus).await;
    let firing = r#"ALERTS{alertname="CdeRequestFailed",kind="MigrationRollback",reason="NotFound",alertstate="firing"}"#;
    prometheus.until(firing, holds).await;
    prometheus.until(r#"ALERTS{alertname="CdeRequestOutcomeUnknown"}"#, holds).await;
}

/// Checks that all rules are loaded and none had an error.
async fn evaluated(prometheus: &Prometheus) {
    let rules = prometheus.get("rules", &[]).await;
    let rules: Vec<&Value> = items(&rules["groups"]).flat_map(|group| items(&group["rules"])).collect();
    let names: BTreeSet<String> = rules.iter().map(|rule| field(rule, "name").to_owned()).collect();
    assert_eq!(names, alert_names());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

#[test]
fn each_panel_has_a_title_a_description_its_own_position_and_the_data_source() {
    let dashboard = yaml(DASHBOARD);
    let (mut ids, mut titles, mut places) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in items(&dashboard["panels"]) {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(titles.insert(field(panel, "title")), "{panel}");
        let grid = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in grid("x")..grid("x") + grid("w") {
            for y in grid("y")..grid("y") + grid("h") {
                assert!(x < 24 && places.insert((x, y)), "two panels at {x}, {y}: {panel}");
            }
        }
    }
    let mut count = 0;
    for panel in panels(&dashboard) {
        count += 1;
        assert!(!field(panel, "description").is_empty(), "{panel}");
        assert!(items(&panel["targets"]).count() > 0, "{panel}");
        for part in items(&panel["targets"]).chain([panel]) {
            assert_eq!(field(&part["datasource"], "uid"), "${datasource}", "{panel}");
        }
    }
    assert!(count > 20, "{count} panels");
}

#[tokio::test]
async fn the_component_adds_rules_and_dashboard_with_a_link_to_the_runbook() {
    let env = test_env().await;
    // Kustomize takes relative paths only. Both are below the root.
    let up = "../".repeat(env.scratch.path().components().count());
    let root = format!("{up}{}", env!("CARGO_MANIFEST_DIR").trim_start_matches('/'));
    let overlay = serde_json::json!({
        "resources": [format!("{root}/deploy")],
        "components": [format!("{root}/deploy/components/pod-monitor"), format!("{root}/deploy/monitoring")],
        "patches": [{
            "target": {"group": "monitoring.coreos.com"},
            "patch": "- {op: add, path: /metadata/labels/release, value: kube-prometheus-stack}",
        }],
        "configMapGenerator": [{
            "name": "links",
            "literals": ["runbook=https://git.example/runbook.md"],
            "options": {
                "disableNameSuffixHash": true,
                "annotations": {"config.kubernetes.io/local-config": "true"},
            },
        }],
        "replacements": [{
            "source": {"kind": "ConfigMap", "name": "links", "fieldPath": "data.runbook"},
            "targets": [{
                "select": {"kind": "PrometheusRule", "name": "cde-operator"},
                "fieldPaths": ["spec.groups.*.rules.*.annotations.runbook_url"],
                "options": {"delimiter": "#"},
            }],
        }],
    });
    std::fs::write(env.scratch.path().join("kustomization.yaml"), overlay.to_string()).unwrap();
    let rendered =
        env.control_plane.kubectl_ok(&["kustomize", env.scratch.path().to_str().unwrap()], "").await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered.unwrap()).unwrap();
    let named = |kind: &str, name: &str| {
        objects.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name)
    };
    let rules = named("PrometheusRule", "cde-operator").unwrap();
    for rule in items(&rules["spec"]["groups"]).flat_map(|group| items(&group["rules"])) {
        let entry = format!("https://git.example/runbook.md#{}", field(rule, "alert").to_lowercase());
        assert_eq!(field(&rule["annotations"], "runbook_url"), entry);
    }
    let monitor = named("PodMonitor", "cde-operator").unwrap();
    for selected in [rules, monitor] {
        assert_eq!(selected["metadata"]["labels"]["release"], "kube-prometheus-stack");
    }
    let dashboard = named("ConfigMap", "cde-operator-dashboard").unwrap();
    let carried: Value = serde_json::from_str(field(&dashboard["data"], "cde-operator.json")).unwrap();
    assert_eq!(carried, yaml(DASHBOARD));
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    assert!(named("ConfigMap", "links").is_none(), "what only kustomize needs is applied");
}
