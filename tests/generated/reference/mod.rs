//! `docs/reference.md` matches the schema, because its tables are generated from the CRDs, and the messages that
//! `docs/troubleshooting.md` quotes are messages of the operator.
//!
//! `UPDATE_DOCS=1 cargo test --test generated reference::` writes the tables.

mod kind;
mod quotes;
mod table;

use cde_operator::api::crds;
use serde_json::Value;

use crate::compare_between;
use crate::reliability::root;

const DOCUMENT: &str = "docs/reference.md";
const BEGIN: &str = "<!-- schema: made by tests/generated/reference -->\n";
const END: &str = "<!-- end of schema -->\n";

fn definitions() -> Vec<Value> {
    crds().iter().map(|crd| serde_json::to_value(crd).expect("a CRD is JSON")).collect()
}

#[test]
fn the_reference_matches_the_crds() {
    compare_between(&root().join(DOCUMENT), [BEGIN, END], &kind::chapters(&definitions()));
}

/// Collects all paths of fields below a schema: `.spec.version`, `.status.versions[].state`.
fn paths(schema: &Value, path: &str, all: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        all.push(path.clone());
        paths(field, &path, all);
        paths(&field["items"], &format!("{path}[]"), all);
    }
}

#[test]
fn every_field_and_every_validation_message_is_in_the_reference() {
    let made = kind::chapters(&definitions());
    for definition in definitions() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut all = Vec::new();
        paths(schema, "", &mut all);
        let fields =
            all.iter().filter_map(|path| path.strip_prefix(".spec.").or(path.strip_prefix(".status.")));
        let fields: Vec<&str> = fields.collect();
        assert!(fields.len() > 30, "{fields:?}");
        for field in fields {
            assert!(made.contains(&format!("| `{field}` |")), "{field} is missing");
        }
        for sentence in definition.to_string().split("\"message\":\"").skip(1) {
            let sentence = sentence.split("\",\"").next().unwrap().split("\"}").next().unwrap();
            let sentence = sentence.replace("\\\"", "\"");
            assert!(made.contains(&sentence), "{sentence} is missing");
        }
    }
}

#[test]
fn every_table_cell_fits_in_its_row() {
    for line in kind::chapters(&definitions()).lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count() - 1;
        assert!([2, 3, 4].contains(&cells), "{line}");
    }
}
