//! The names of the metrics: promtool accepts them, and the documentation lists all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::monitoring::fixture::{fast_retries, pause, populate};
use crate::monitoring::prometheus::{promtool, said};
use crate::monitoring::repository::text;
use crate::tools::test_env;

/// Present only where a container has a limit.
const DEPENDS: &str = "cde_operator_process_memory_limit_bytes";
/// Present only in login mode.
pub(super) const LOGIN_MODE: [&str; 4] = [
    "cde_operator_login_required",
    "cde_operator_credential_expiry_timestamp_seconds",
    "cde_operator_credential_refreshed_timestamp_seconds",
    "cde_operator_credential_refreshes_total",
];

#[tokio::test]
async fn promtool_accepts_the_metrics_and_the_documentation_lists_them_with_labels() {
    let env = test_env().await;
    let mut operator = env.start(fast_retries().env("CDE_LEADER_ELECTION", "true")).await;
    let waits = populate(&env).await;
    pause(&env, &operator, waits).await;

    let (code, metrics) = operator.probe("/metrics").await.unwrap();

    assert_eq!(code, 200, "{metrics}");
    let metrics = plain(&metrics);
    let checked = promtool(&["check", "metrics"], env.scratch.path(), &metrics).await;
    assert!(checked.status.success() && said(&checked).is_empty(), "{}\n{metrics}", said(&checked));
    let (mut told, served) = (documented(), served(&metrics));
    if !served.contains_key(DEPENDS) {
        assert!(told.remove(DEPENDS).is_some());
    }
    for name in LOGIN_MODE {
        assert!(told.remove(name).is_some(), "{name} is not documented");
    }
    assert_eq!(told, served);
}

/// Converts `OpenMetrics` to the older text format, the only one that promtool checks. In that format, the suffix of a
/// counter or an info is a part of the name, and an info is a gauge.
pub(super) fn plain(open_metrics: &str) -> String {
    let text = open_metrics.strip_suffix("# EOF\n").expect("a complete OpenMetrics text");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.fold(text.to_owned(), |text, (name, type_)| {
        let (whole, plain) = match type_ {
            "counter" => (format!("{name}_total"), "counter"),
            "info" => (format!("{name}_info"), "gauge"),
            other => (name.to_owned(), other),
        };
        text.replace(&format!("# HELP {name} "), &format!("# HELP {whole} "))
            .replace(&format!("# TYPE {name} {type_}\n"), &format!("# TYPE {whole} {plain}\n"))
    })
}

/// Labels and type of each metric by its name.
pub(super) type Metrics = BTreeMap<String, (BTreeSet<String>, String)>;

/// Returns the metrics in the documentation's table.
pub(super) fn documented() -> Metrics {
    let document = text("docs/observability.md");
    let table = document.lines().skip_while(|line| *line != "| Metric | Type | Description |").skip(2);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let (name, type_) = (cells.next().unwrap().trim_matches('`'), cells.next().unwrap());
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            (name.to_owned(), (labels.map(str::to_owned).collect(), type_.to_owned()))
        })
        .collect()
}

/// Returns the metrics of an operator.
pub(super) fn served(metrics: &str) -> Metrics {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut all: Metrics =
        types.map(|(name, type_)| (name.to_owned(), (BTreeSet::new(), type_.to_owned()))).collect();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family =
            ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let (known, _) = all.get_mut(family).unwrap_or_else(|| panic!("no type: {line}"));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('='));
        known.extend(labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le"));
    }
    all
}
