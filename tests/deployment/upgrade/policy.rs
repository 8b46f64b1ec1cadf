//! The policy of docs/upgrade.md, held against the definitions of the earlier commit: fields are only added, optional,
//! without defaults in `spec`.

use cde_operator::api::crds;
use serde_json::{Value, json};

use crate::upgrade::earlier::unpack;
use crate::upgrade::schema::breaches;

/// What has changed since the earlier commit and was found harmless, by its path.
const REVIEWED: [(&str, &str); 0] = [];

fn present() -> Vec<Value> {
    crds().iter().map(|crd| serde_json::to_value(crd).expect("a definition is JSON")).collect()
}

/// The definitions of the earlier commit, in the same order.
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
async fn the_definitions_keep_what_those_of_the_earlier_commit_promised() {
    for (old, new) in earlier().await.iter().zip(present()) {
        let found = breaches(old, &new);
        let is_reviewed = |breach: &str| {
            let parts = breach.split_once(": ").expect("a path and words");
            REVIEWED.iter().any(|(path, words)| parts.0 == *path && parts.1.starts_with(words))
        };
        let left: Vec<&String> = found.iter().filter(|breach| !is_reviewed(breach)).collect();
        assert!(left.is_empty(), "{}: {left:#?}", new["metadata"]["name"]);
        assert_eq!(found.len(), REVIEWED.len(), "what is reviewed is still there: {found:#?}");
    }
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// The present definition of a rollback, with the value at `path` below `part` changed.
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
fn each_way_to_break_the_policy_is_noticed() {
    let (spec, status) = ("/properties/spec", "/properties/status/properties");
    let field = |name: &str| format!("{spec}/properties/{name}");
    let cases = [
        ("a field goes", format!("{spec}/properties"), remove("suspend")),
        ("a field of the status goes", format!("{status}/operation/properties"), remove("inFlight")),
        ("a type changes", field("deadlineSeconds"), set("type", json!("string"))),
        ("a field becomes required", format!("{spec}/required"), push(json!("suspend"))),
        (
            "a field becomes optional",
            format!("{status}/operation"),
            set("required", json!(["id", "attempts"])),
        ),
        ("a default comes", field("suspend"), set("default", json!(false))),
        ("a new field has a default", format!("{spec}/properties"), set("new", json!({"default": 1}))),
        ("a bound falls", field("connectorID"), set("maxLength", json!(36))),
        ("a bound rises", field("deadlineSeconds"), set("minimum", json!(60))),
        ("a bound comes", field("suspend"), set("maxLength", json!(1))),
        ("a word goes", format!("{status}/outcome"), set("enum", json!(["Succeeded", "Failed"]))),
        ("words are counted up", format!("{status}/state"), set("enum", json!(["created"]))),
        ("a pattern comes", field("version"), set("pattern", json!("^main$"))),
        ("a rule comes", field("suspend"), set("x-kubernetes-validations", json!([{"rule": "!self"}]))),
        ("a rule goes", String::new(), remove("x-kubernetes-validations")),
        ("a list changes", format!("{status}/conditions"), set("x-kubernetes-list-type", json!("atomic"))),
        ("what nobody knows comes", spec.to_owned(), set("x-kubernetes-new", json!(true))),
    ];
    let now = present().pop().expect("a rollback's");
    for (what, path, change) in cases {
        let found = breaches(&now, &changed(SCHEMA, &path, change));
        assert!(!found.is_empty(), "unnoticed: {what}");
    }
    for (what, path, change) in [
        ("a short name goes", "/spec/names", set("shortNames", json!([]))),
        ("it is not served", "/spec/versions/0", set("served", json!(false))),
        ("nothing is selectable", "/spec/versions/0", remove("selectableFields")),
        ("the scope changes", "/spec", set("scope", json!("Cluster"))),
    ] {
        let found = breaches(&now, &changed("", path, change));
        assert!(!found.is_empty(), "unnoticed: {what}");
    }
}

#[test]
fn what_the_policy_allows_is_no_breach() {
    let (spec, status) = ("/properties/spec", "/properties/status/properties");
    let now = present().pop().expect("a rollback's");
    for (what, path, change) in [
        ("nothing", String::new(), set("description", json!("Other words."))),
        ("a new field", format!("{spec}/properties"), set("new", json!({"type": "string"}))),
        ("a new word", format!("{status}/outcome/enum"), push(json!("Cancelled"))),
        ("a wider bound", format!("{spec}/properties/connectorID"), set("maxLength", json!(100))),
        ("no bound", format!("{spec}/properties/connectorID"), remove("maxLength")),
    ] {
        assert_eq!(breaches(&now, &changed(SCHEMA, &path, change)), Vec::<String>::new(), "{what}");
    }
}
