//! The chapters: one for each kind, and one for the status that both kinds share.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::reference::table::{fields, refusals};

/// Returns the chapters of these CRDs, in Markdown.
pub(crate) fn chapters(definitions: &[Value]) -> String {
    let mut text = "\n".to_owned();
    let statuses: Vec<&Value> = definitions.iter().map(|it| &schema(it)["properties"]["status"]).collect();
    let shared = shared(&statuses);
    for (definition, status) in definitions.iter().zip(&statuses) {
        kind(&mut text, definition);
        let own = only(status, |name| !shared.contains_key(name));
        writeln!(text, "### Status specific to {}\n", name_of(definition)).unwrap();
        text += &fields(&own);
    }
    let common = only(statuses[0], |name| shared.contains_key(name));
    let (words, default) = (&statuses[0]["description"], &statuses[0]["default"]);
    writeln!(text, "## Status of both kinds\n").unwrap();
    writeln!(text, "{} Until then it is `{default}`.\n", words.as_str().unwrap()).unwrap();
    text += &fields(&common);
    text
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn name_of(definition: &Value) -> &str {
    definition["spec"]["names"]["kind"].as_str().unwrap()
}

/// Returns the fields that are the same in all of these schemas.
fn shared(schemas: &[&Value]) -> Map<String, Value> {
    let mut fields = schemas[0]["properties"].as_object().unwrap().clone();
    fields.retain(|name, field| schemas.iter().all(|schema| schema["properties"][name] == *field));
    fields
}

/// Returns a schema with some of its fields.
fn only(schema: &Value, keep: impl Fn(&String) -> bool) -> Value {
    let mut schema = schema.clone();
    schema["properties"].as_object_mut().unwrap().retain(|name, _| keep(name));
    schema
}

fn kind(text: &mut String, definition: &Value) {
    let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
    let version = &spec["versions"][0];
    let schema = schema(definition);
    writeln!(text, "## {}\n\n{}\n", name_of(definition), schema["description"].as_str().unwrap()).unwrap();
    let words = |list: &Value| {
        let all = list.as_array().into_iter().flatten();
        all.map(|word| format!("`{}`", word.as_str().unwrap())).collect::<Vec<_>>().join(", ")
    };
    writeln!(text, "| Property | Value |\n|---|---|").unwrap();
    let group = spec["group"].as_str().unwrap();
    let (api, plural) = (version["name"].as_str().unwrap(), names["plural"].as_str().unwrap());
    writeln!(text, "| `apiVersion` | `{group}/{api}` |").unwrap();
    writeln!(text, "| Names in kubectl | {}, `{plural}` |", words(&names["shortNames"])).unwrap();
    writeln!(text, "| Category | {} |", words(&names["categories"])).unwrap();
    writeln!(text, "| Scope | {} |", spec["scope"].as_str().unwrap()).unwrap();
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    let selectable: Vec<String> = selectable
        .map(|field| format!("`{}`", field["jsonPath"].as_str().unwrap().trim_start_matches('.')))
        .collect();
    writeln!(text, "| Field selectors | {} |", selectable.join(", ")).unwrap();

    writeln!(text, "\n### Spec of {}\n", name_of(definition)).unwrap();
    text.push_str(&fields(&schema["properties"]["spec"]));
    writeln!(text, "The API server rejects other values with these messages:\n").unwrap();
    text.push_str(&refusals(schema));
    columns(text, version);
}

fn columns(text: &mut String, version: &Value) {
    writeln!(text, "Columns of `kubectl get`. Those in *italics* need `-o wide`:\n").unwrap();
    writeln!(text, "| Column | Field | Description |\n|---|---|---|").unwrap();
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let word = |name: &str| column[name].as_str().unwrap();
        let name =
            if column["priority"] == 1 { format!("*{}*", word("name")) } else { word("name").to_owned() };
        writeln!(text, "| {name} | `{}` | {} |", word("jsonPath"), word("description")).unwrap();
    }
    text.push('\n');
}
