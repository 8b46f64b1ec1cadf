//! The alert rules: promtool accepts them, they fire when they should, and their texts are complete.

use std::collections::BTreeSet;

use cde_sandbox::process::scratch_dir;

use crate::monitoring::prometheus::{plain_rules, promtool, said};
use crate::monitoring::repository::{alert_names, alerts, field, items, text, yaml};

/// Where the alerts find the runbook unless somebody sets another address.
const RUNBOOK: &str = "https://git.example.com/cde-operator/blob/main/docs/runbook.md";

#[tokio::test]
async fn promtool_accepts_the_rules() {
    let scratch = scratch_dir().unwrap();
    plain_rules(scratch.path());
    let lint = ["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"];
    let checked = promtool(&lint, scratch.path(), "").await;
    let count = format!("{} rules found", alerts().len());
    assert!(checked.status.success() && said(&checked).contains(&count), "{}", said(&checked));
}

#[tokio::test]
async fn only_the_expected_alerts_fire() {
    let scratch = scratch_dir().unwrap();
    plain_rules(scratch.path());
    std::fs::write(scratch.path().join("alerts.yaml"), text("tests/deployment/monitoring/alerts.yaml"))
        .unwrap();
    let tested = promtool(&["test", "rules", "alerts.yaml"], scratch.path(), "").await;
    assert!(tested.status.success() && said(&tested).contains("SUCCESS"), "{}", said(&tested));
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tests = yaml("tests/deployment/monitoring/alerts.yaml");
    let fires: BTreeSet<String> = items(&tests["tests"])
        .flat_map(|test| items(&test["promql_expr_test"]))
        .flat_map(|look| items(&look["exp_samples"]))
        .filter_map(|sample| field(sample, "labels").split('"').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(fires, alert_names());
}

#[test]
fn each_alert_has_a_severity_a_command_and_a_link_to_the_runbook() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = field(&alert, "alert");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let severity = field(&alert["labels"], "severity");
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let said = &alert["annotations"];
        let summary = field(said, "summary");
        assert!(summary.ends_with('.') && !summary.contains('\n'), "{name}: {summary}");
        let next = field(said, "description").split_once("Next: ");
        assert!(next.is_some_and(|(_, command)| command.starts_with("kubectl ")), "{name}: {said}");
        let entry = format!("{RUNBOOK}#{}", name.to_lowercase());
        assert_eq!(field(said, "runbook_url"), entry, "{name}");
    }
}

#[test]
fn the_documentation_lists_exactly_the_alerts() {
    let document = text("docs/observability.md");
    let told: Vec<(&str, &str)> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| [`"))
        .filter_map(|line| {
            let (name, rest) = line.split_once('`')?;
            Some((name, rest.split('|').nth(1)?.trim()))
        })
        .collect();
    let alerts = alerts();
    let rules: Vec<(&str, &str)> =
        alerts.iter().map(|alert| (field(alert, "alert"), field(&alert["labels"], "severity"))).collect();
    assert_eq!(told, rules);
}
