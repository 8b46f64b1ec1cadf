//! The runs of a scenario as a table for people and as JSON for programs.

use cde_sandbox::table;
use serde::Serialize;
use serde_json::{Value, json};

use crate::figure::{Figure, Figures};
use crate::scenario::{Scenario, Size};
use crate::statistics::{Spread, spread};

/// One run: its measurements, and the machine's load before and after it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) figures: Figures,
    pub(crate) load: [f64; 2],
}

/// All runs of a scenario.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) size: Size,
    pub(crate) runs: Vec<Run>,
}

/// One measurement over all runs.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    values: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

impl Report<'_> {
    fn rows(&self) -> Vec<Row<'_>> {
        let first = self.runs.first().map_or(&[][..], |run| &run.figures.0);
        first.iter().map(|figure| self.row(figure)).collect()
    }

    fn row<'a>(&self, figure: &'a Figure) -> Row<'a> {
        let same =
            |run: &Run| run.figures.0.iter().find(|other| other.name == figure.name).map(|it| it.value);
        let values: Vec<f64> = self.runs.iter().filter_map(same).collect();
        let spread = spread(&values);
        Row {
            name: &figure.name,
            unit: figure.unit,
            spread,
            values,
            goal: figure.goal.map(|goal| goal.to_string()),
            met: figure.goal.map(|goal| goal.is_met_by(spread.median)),
        }
    }

    /// Returns the names of the measurements that miss their goals.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &str> {
        self.rows().into_iter().filter(|row| row.met == Some(false)).map(|row| row.name)
    }

    /// Returns a heading and a table.
    pub(crate) fn text(&self) -> String {
        let Self { scenario, size, runs } = self;
        let rows = self.rows().into_iter().map(|row| {
            let Spread { min, median, max } = row.spread;
            let met = row.met.map_or("", |met| if met { "met" } else { "MISSED" });
            let goal = row.goal.unwrap_or_default();
            let name = row.name.to_owned();
            [name, row.unit.to_owned(), number(min), number(median), number(max), goal, met.to_owned()]
        });
        let table =
            table::render(["MEASUREMENT", "UNIT", "MIN", "MEDIAN", "MAX", "GOAL", ""], rows).join("\n");
        let loads: Vec<String> =
            runs.iter().map(|run| format!("{:.1} → {:.1}", run.load[0], run.load[1])).collect();
        format!(
            "== {}: {}\n{}; {} runs; load average {}\n{table}\n",
            scenario.name,
            scenario.about,
            said(size),
            runs.len(),
            loads.join(", "),
        )
    }

    /// Returns the report as JSON, with the values of every run.
    pub(crate) fn json(&self) -> Value {
        let Self { scenario, size, runs } = self;
        let load: Vec<[f64; 2]> = runs.iter().map(|run| run.load).collect();
        json!({
            "scenario": scenario.name,
            "about": scenario.about,
            "size": size,
            "load": load,
            "figures": self.rows(),
        })
    }
}

/// Returns the size as command-line flags.
fn said(size: &Size) -> String {
    let objects = (size.objects > 0).then(|| format!("--objects {}", size.objects));
    let concurrency = (size.concurrency > 0).then(|| format!("--concurrency {}", size.concurrency));
    let minutes = (size.minutes > 0.0).then(|| format!("--minutes {}", size.minutes));
    objects.into_iter().chain(concurrency).chain(minutes).collect::<Vec<_>>().join(" ")
}

/// Formats a value with its significant digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Goal;
    use crate::scenario::ALL;

    fn report(values: &[f64]) -> Report<'static> {
        let run = |&value: &f64| {
            let mut figures = Figures::default();
            figures.judge("ratio", "", value, Goal::AtLeast(0.95));
            Run { figures, load: [0.5, 2.0] }
        };
        let runs = values.iter().map(run).collect();
        Report { scenario: ALL[0], size: ALL[0].size, runs }
    }

    #[test]
    fn a_goal_is_judged_by_the_median_of_the_runs() {
        let text = report(&[0.9, 1.0, 0.96]).text();
        let line = text.lines().last().unwrap_or_default();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["ratio", "0.900", "0.960", "1.00", "≥", "0.95", "met"]
        );
        assert!(report(&[0.9, 1.0, 0.94]).text().trim_end().ends_with("MISSED"));
    }

    #[test]
    fn json_has_every_value_and_the_load() {
        let json = report(&[1.0, 2.0]).json();
        assert_eq!(json["figures"][0]["values"], json!([1.0, 2.0]));
        assert_eq!((&json["figures"][0]["median"], &json["figures"][0]["met"]), (&json!(1.5), &json!(true)));
        assert_eq!(json["load"], json!([[0.5, 2.0], [0.5, 2.0]]));
    }

    #[test]
    fn numbers_are_rounded_to_significant_digits() {
        assert_eq!([0.0, 0.0123, 1.234, 12.34, 1234.5].map(number), ["0", "0.012", "1.23", "12.3", "1234"]);
    }
}
