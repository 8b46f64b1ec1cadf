//! The comments in the chart's `values.yaml` are the only description of its values: the schema and the chart's README are
//! generated from them, and the chart has copies of the alerts and the dashboard.
//!
//! `UPDATE_DOCS=1 cargo test --test generated chart::` writes them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{compare, compare_between};

const BEGIN: &str = "<!-- values: made by tests/generated/chart.rs -->\n";
const END: &str = "<!-- end of values -->\n";

/// A value of the chart, or a group of values.
struct Described {
    /// The keys that lead to it.
    path: Vec<String>,
    description: String,
}

fn chart(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart").join(file)
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Returns the keys of `values.yaml` that `schema` knows, with the comments above them.
fn described(yaml: &str, schema: &Value) -> Vec<Described> {
    let mut found: Vec<Described> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in yaml.lines() {
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
        } else if text.is_empty() {
            comment.clear();
        } else {
            let depth = (line.len() - text.len()) / 2;
            let Some((key, _)) = text.split_once(':').filter(|_| depth <= path.len()) else { continue };
            path.truncate(depth);
            path.push(key.to_owned());
            if schema.pointer(&pointer(&path)).is_some() {
                found.push(Described { path: path.clone(), description: comment.join(" ") });
            }
            comment.clear();
        }
    }
    found
}

/// Returns the JSON pointer to a value in the schema.
fn pointer(path: &[String]) -> String {
    path.iter().fold(String::new(), |pointer, key| format!("{pointer}/properties/{key}"))
}

fn schema() -> Value {
    serde_json::from_str(&read(&chart("values.schema.json"))).unwrap()
}

/// Returns the paths of all values in the schema.
fn paths(schema: &Value, before: &[String]) -> Vec<Vec<String>> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let mut all = Vec::new();
    for (key, value) in properties {
        let path = [before, std::slice::from_ref(key)].concat();
        all.extend(paths(value, &path));
        all.push(path);
    }
    all
}

#[test]
fn every_value_is_described_in_the_schema_by_its_comment() {
    let (yaml, mut schema) = (read(&chart("values.yaml")), schema());
    let described = described(&yaml, &schema);
    for path in paths(&schema, &[]) {
        let of_a_parent = path == ["global"] || path == ["enabled"];
        let known = described.iter().find(|value| value.path == path);
        assert!(
            of_a_parent || known.is_some_and(|value| !value.description.is_empty()),
            "{} has no comment in values.yaml",
            path.join(".")
        );
    }
    for value in described {
        schema.pointer_mut(&pointer(&value.path)).unwrap()["description"] = json!(value.description);
    }
    let expected = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    compare(&chart("values.schema.json"), &expected);
}

#[test]
fn the_readme_of_the_chart_has_a_row_for_each_value() {
    let (yaml, schema) = (read(&chart("values.yaml")), schema());
    let defaults: Value = serde_saphyr::from_str(&yaml).unwrap();
    let mut table = "| Value | Default | Description |\n|---|---|---|\n".to_owned();
    for value in described(&yaml, &schema) {
        let is_group = schema.pointer(&pointer(&value.path)).unwrap().get("properties").is_some();
        let default = defaults.pointer(&format!("/{}", value.path.join("/"))).unwrap();
        if !is_group {
            let description = value.description.replace('|', "\\|");
            writeln!(table, "| `{}` | `{default}` | {description} |", value.path.join(".")).unwrap();
        }
    }
    compare_between(&chart("README.md"), [BEGIN, END], &table);
}

#[test]
fn the_chart_has_the_alerts_and_the_dashboard() {
    for file in ["rules.yaml", "dashboard.json"] {
        let original = read(&chart("../monitoring").join(file));
        compare(&chart("files/monitoring").join(file), &original);
    }
}
