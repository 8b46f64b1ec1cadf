//! The names of the metrics: promtool accepts them, and the documentation lists all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::monitoring::prometheus::{promtool, said};
use crate::monitoring::repository::text;
use crate::monitoring::scene::{live, lively, pause};
use crate::tools::test_env;

/// Absent unless the container has a memory limit.
const DEPENDS: &str = "cde_operator_process_memory_limit_bytes";

#[tokio::test]
async fn promtool_has_no_complaint_and_the_documentation_has_each_figure_with_its_labels() {
    let env = test_env().await;
    let mut operator = env.start(lively().env("CDE_LEADER_ELECTION", "true")).await;
    let waits = live(&env).await;
    pause(&env, &operator, waits).await;

    let (code, figures) = operator.probe("/metrics").await.unwrap();

    assert_eq!(code, 200, "{figures}");
    let figures = plain(&figures);
    let checked = promtool(&["check", "metrics"], env.scratch.path(), &figures).await;
    assert!(checked.status.success() && said(&checked).is_empty(), "{}\n{figures}", said(&checked));
    let (mut told, served) = (documented(), served(&figures));
    if !served.contains_key(DEPENDS) {
        assert!(told.remove(DEPENDS).is_some());
    }
    assert_eq!(told, served);
}

/// Converts `OpenMetrics` to the older text format, the only one that promtool checks. There, the suffix of a counter
/// or an info is part of the name, and an info is a gauge.
fn plain(open_metrics: &str) -> String {
    let text = open_metrics.strip_suffix("# EOF\n").expect("a whole text of OpenMetrics");
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

/// Labels and type of each metric, by name.
type Figures = BTreeMap<String, (BTreeSet<String>, String)>;

/// Returns the metrics in the table of the documentation.
fn documented() -> Figures {
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

/// Returns the metrics that an operator serves.
fn served(figures: &str) -> Figures {
    let types = figures.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut all: Figures =
        types.map(|(name, type_)| (name.to_owned(), (BTreeSet::new(), type_.to_owned()))).collect();
    for line in figures.lines().filter(|line| !line.starts_with('#')) {
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
