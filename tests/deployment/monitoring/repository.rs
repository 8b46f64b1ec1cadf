//! Files of the repository as the tests read them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

/// Returns the text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(|error| {
        panic!("{path}: {error}");
    })
}

/// Returns a YAML or JSON file of the repository.
pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns a text field, or an empty text if there is none.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Returns the items of a list; none if there is no list.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns all alerts of the rules.
pub(crate) fn alerts() -> Vec<Value> {
    let rules = yaml("deploy/monitoring/rules.yaml");
    items(&rules["spec"]["groups"]).flat_map(|group| items(&group["rules"])).cloned().collect()
}

/// Returns the names of all alerts.
pub(crate) fn alert_names() -> BTreeSet<String> {
    alerts().iter().map(|alert| field(alert, "alert").to_owned()).collect()
}
