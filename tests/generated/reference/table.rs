//! Tables of a schema: its fields and its validation messages.

use std::fmt::Write as _;

use serde_json::Value;

/// Returns all fields below `schema`. Nested fields follow their parents.
pub(crate) fn fields(schema: &Value) -> String {
    let mut table = "| Field | Type | Bounds | Description |\n|---|---|---|---|\n".to_owned();
    rows(&mut table, schema, "");
    table.push('\n');
    table
}

fn rows(table: &mut String, schema: &Value, path: &str) {
    let required = |name: &str| list(&schema["required"]).iter().any(|it| it == name);
    let mut fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| !required(name));
    for (name, field) in fields {
        let path = format!("{path}{name}");
        let bounds = bounds(field, required(name)).join("; ");
        let meaning = cell(field["description"].as_str().unwrap_or_default());
        writeln!(table, "| `{path}` | {} | {bounds} | {meaning} |", type_of(field)).unwrap();
        rows(table, field, &format!("{path}."));
        rows(table, &field["items"], &format!("{path}[]."));
    }
}

fn type_of(field: &Value) -> String {
    match (field["type"].as_str().unwrap(), field["format"].as_str()) {
        (_, Some("date-time")) => "time".to_owned(),
        ("array", _) => format!("list of {}s", type_of(&field["items"])),
        (word, _) => word.to_owned(),
    }
}

fn bounds(field: &Value, required: bool) -> Vec<String> {
    let mut all = Vec::new();
    if required {
        all.push("**required**".to_owned());
    }
    if list(&field["x-kubernetes-validations"]).iter().any(|rule| rule["rule"] == "self == oldSelf") {
        all.push("immutable".to_owned());
    }
    if let Value::Array(words) = &field["enum"] {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
        all.push(words.join(", "));
    }
    all.extend(range("", &field["minimum"], &field["maximum"]));
    all.extend(range(" characters", &field["minLength"], &field["maxLength"]));
    all.extend(range(" items", &field["minItems"], &field["maxItems"]));
    if let Some(pattern) = field["pattern"].as_str() {
        all.push(format!("`{}`", cell(pattern)));
    }
    let keys = list(&field["x-kubernetes-list-map-keys"]);
    all.extend(keys.iter().map(|key| format!("one of each `{}`", key.as_str().unwrap())));
    all
}

fn range(what: &str, least: &Value, most: &Value) -> Option<String> {
    match (least.as_f64(), most.as_f64()) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{what}")),
        (Some(least), None) => Some(format!("at least {least}{what}")),
        (None, Some(most)) => Some(format!("at most {most}{what}")),
        (None, None) => None,
    }
}

/// Returns the messages of the validation rules in `schema`.
pub(crate) fn refusals(schema: &Value) -> String {
    let mut found = Vec::new();
    messages(schema, "", &mut found);
    let mut table = "| Where | Message |\n|---|---|\n".to_owned();
    for (path, message) in found {
        let path = path.strip_prefix('.').map_or_else(|| "the object".to_owned(), |path| format!("`{path}`"));
        writeln!(table, "| {path} | {} |", cell(&message)).unwrap();
    }
    table.push('\n');
    table
}

fn messages(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for rule in list(&schema["x-kubernetes-validations"]) {
        found.push((path.to_owned(), rule["message"].as_str().unwrap().to_owned()));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        messages(field, &format!("{path}.{name}"), found);
    }
}

/// Returns the text escaped for a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
