//! The compatibility policy in docs/upgrade.md, checked against the CRDs of the earlier commit: new fields are
//! optional and have no defaults in `spec`.

use cde_operator::api::crds;
use serde_json::{Value, json};

use crate::upgrade::earlier::unpack;
use crate::upgrade::schema::breaches;

/// Changes since the earlier commit that were reviewed and found harmless, by path.
const REVIEWED: [(&str, &str); 0] = [];

fn present() -> Vec<Value> {
    crds().iter().map(|crd| serde_json::to_value(crd).expect("a CRD is JSON")).collect()
}

/// Returns the CRDs of the earlier commit, in the same order.
async fn earlier() -> Vec<Value> {
    let scratch = cde_sandbox::process::scratch_dir().unwrap();
    unpack(scratch.path()).await.unwrap();
    let read = |crd: &Value| {
        let file = format!("crds/{}.yaml", crd["metadata"]["name"].as_str().unwrap());
        serde_saphyr::from_str(&std::fs::read_to_string(scratch.path().join(file)).unwrap()).unwrap()
    };
    present().iter().map(read).collect()
}

#[tokio::test]
async fn the_crds_keep_the_promises_of_the_earlier_commit() {
    for (old, new) in earlier().await.iter().zip(present()) {
        let found = breaches(old, &new);
        let is_reviewed = |breach: &str| {
            let parts = breach.split_once(": ").expect("a path and words");
            REVIEWED.iter().any(|(path, words)| parts.0 == *path && parts.1.starts_with(words))
        };
        let left: Vec<&String> = found.iter().filter(|breach| !is_reviewed(breach)).collect();
        assert!(left.is_empty(), "{}: {left:#?}", new["metadata"]["name"]);
        assert_eq!(found.len(), REVIEWED.len(), "a reviewed change is gone: {found:#?}");
    }
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// Returns the present CRD of a rollback, with the value at `path` below `part` changed.
fn changed(part: &str, path: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut crd = present().pop().expect("a rollback's");
    change(crd.pointer_mut(&format!("{part}{path}")).unwrap_or_else(|| panic!("{path}")));
    crd
}

fn remove(field: &'static str) -> Box<dyn FnOnce(&mut Value)> {
    Box::new(move |value| drop(value.as_object_mut().unwrap().remove(field).unwrap()))
}

fn set(field: &'static str, to: Value) -> Box<dyn FnOnce(&mut Value)> {
    Box::new(move |value| value[field] = to)
}

fn push(item: Value) -> Box<dyn FnOnce(&mut Value)> {
    Box::new(move |value| value.as_array_mut().unwrap().push(item))
}

#[test]
fn each_way_to_break_the_policy_is_detected() {
    let (spec, status) = ("/properties/spec", "/properties/status/properties");
    let field = |name: &str| format!("{spec}/properties/{name}");
    let cases = [
        ("a field is removed", format!("{spec}/properties"), remove("suspend")),
        ("a field of the status is removed", format!("{status}/operation/properties"), remove("inFlight")),
        ("a type changes", field("deadlineSeconds"), set("type", json!("string"))),
        ("a field becomes required", format!("{spec}/required"), push(json!("suspend"))),
        (
            "a field becomes optional",
            format!("{status}/operation"),
            set("required", json!(["id", "attempts"])),
        ),
        ("a default is added", field("suspend"), set("default", json!(false))),
        ("a new field has a default", format!("{spec}/properties"), set("new", json!({"default": 1}))),
        ("a bound is lowered", field("connectorID"), set("maxLength", json!(36))),
        ("a bound is raised", field("deadlineSeconds"), set("minimum", json!(60))),
        ("a bound is added", field("suspend"), set("maxLength", json!(1))),
        (
            "an enum value is removed",
            format!("{status}/outcome"),
            set("enum", json!(["Succeeded", "Failed"])),
        ),
        ("an enum is added", format!("{status}/state"), set("enum", json!(["created"]))),
        ("a pattern is added", field("version"), set("pattern", json!("^main$"))),
        ("a rule is added", field("suspend"), set("x-kubernetes-validations", json!([{"rule": "!self"}]))),
        ("a rule is removed", String::new(), remove("x-kubernetes-validations")),
        (
            "a list type changes",
            format!("{status}/conditions"),
            set("x-kubernetes-list-type", json!("atomic")),
        ),
        ("an unknown keyword is added", spec.to_owned(), set("x-kubernetes-new", json!(true))),
    ];
    let now = present().pop().expect("a rollback's");
    for (what, path, change) in cases {
        let found = breaches(&now, &changed(SCHEMA, &path, change));
        assert!(!found.is_empty(), "unnoticed: {what}");
    }
    for (what, path, change) in [
        ("a short name is removed", "/spec/names", set("shortNames", json!([]))),
        ("it is not served", "/spec/versions/0", set("served", json!(false))),
        ("nothing is selectable", "/spec/versions/0", remove("selectableFields")),
        ("the scope changes", "/spec", set("scope", json!("Cluster"))),
    ] {
        let found = breaches(&now, &changed("", path, change));
        assert!(!found.is_empty(), "unnoticed: {what}");
    }
}

#[test]
fn allowed_changes_are_not_reported() {
    let (spec, status) = ("/properties/spec", "/properties/status/properties");
    let now = present().pop().expect("a rollback's");
    for (what, path, change) in [
        ("nothing", String::new(), set("description", json!("Another text."))),
        ("a new field", format!("{spec}/properties"), set("new", json!({"type": "string"}))),
        ("a new enum value", format!("{status}/outcome/enum"), push(json!("Cancelled"))),
        ("a wider bound", format!("{spec}/properties/connectorID"), set("maxLength", json!(100))),
        ("no bound", format!("{spec}/properties/connectorID"), remove("maxLength")),
    ] {
        assert_eq!(breaches(&now, &changed(SCHEMA, &path, change)), Vec::<String>::new(), "{what}");
    }
}
