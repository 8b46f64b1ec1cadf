//! The flags of the program, from its help.

use std::collections::BTreeMap;
use std::process::Command;

use cde_sandbox::process;
use serde_json::Value;

/// Returns all flags of `cde-operator run` by name, with their defaults where they have one.
pub(super) async fn flags() -> BTreeMap<String, Option<String>> {
    let mut help = Command::new(cde_harness::operator_program());
    help.args(["run", "--help"]).env_clear();
    let help = String::from_utf8(process::output(help, b"").await.unwrap().stdout).unwrap();
    let mut flags = BTreeMap::new();
    let mut flag = String::new();
    for line in help.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("--") {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
            rest[..end].clone_into(&mut flag);
            flags.insert(flag.clone(), None);
        }
        if let Some((_, rest)) = line.split_once("[default: ") {
            flags.insert(flag.clone(), rest.split_once(']').map(|(default, _)| default.to_owned()));
        }
    }
    assert!(flags.contains_key("url") && flags["rate"].as_deref() == Some("10"), "{flags:?}\n{help}");
    flags
}

/// Returns the variables of a container that have a literal value.
pub(super) fn variables(container: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for variable in container["env"].as_array().unwrap() {
        let text = |key: &str| variable[key].as_str().map(str::to_owned);
        if let Some(value) = text("value") {
            let name = text("name").unwrap();
            assert!(found.insert(name.clone(), value).is_none(), "{name} is there twice");
        }
    }
    found
}

/// Returns the flags that variables such as `CDE_RATE` set, by name.
pub(super) fn set_by(variables: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let flags = variables.into_iter().filter_map(|(name, value)| {
        let flag = name.strip_prefix("CDE_")?.to_lowercase().replace('_', "-");
        Some((flag, value))
    });
    flags.collect()
}
