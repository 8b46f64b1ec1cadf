//! Files of the repository, as the tests read them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(|error| {
        panic!("{path}: {error}");
    })
}

/// A YAML or JSON file of the repository.
pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A text field; empty where there is none.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a list; none where there is no list.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// All alerts of the rules.
pub(crate) fn alerts() -> Vec<Value> {
    let rules = yaml("deploy/monitoring/rules.yaml");
    items(&rules["spec"]["groups"]).flat_map(|group| items(&group["rules"])).cloned().collect()
}

/// The names of all alerts.
pub(crate) fn alert_names() -> BTreeSet<String> {
    alerts().iter().map(|alert| field(alert, "alert").to_owned()).collect()
}
