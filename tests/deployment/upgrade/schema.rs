//! Which parts of a CRD may not change within a version of the API, found by comparing two CRDs.
//!
//! An accepted manifest must stay valid, a stored object must stay readable, and a tool must find what it read before.
//! Fields may be added. Every change that is not known to be harmless is reported.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords of a schema that are only for people.
const HARMLESS: [&str; 3] = ["description", "title", "example"];
/// Bounds that may be widened in one direction: keywords that may only fall, and keywords that may only rise.
const ONLY_DOWN: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
const ONLY_UP: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];

/// Returns where the CRD `new` breaks a promise of `old`, one sentence each.
pub(crate) fn breaches(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Found::default();
    for part in ["group", "scope"] {
        found.differ(part, &old["spec"][part], &new["spec"][part]);
    }
    let (old_names, new_names) = (&old["spec"]["names"], &new["spec"]["names"]);
    for part in ["kind", "plural", "singular"] {
        found.differ(part, &old_names[part], &new_names[part]);
    }
    for part in ["shortNames", "categories"] {
        found.lost(part, &old_names[part], &new_names[part]);
    }
    for version in list(&old["spec"]["versions"]) {
        let name = &version["name"];
        let kept =
            list(&new["spec"]["versions"]).iter().find(|it| it["name"] == *name && it["served"] == true);
        let Some(kept) = kept else {
            found.add(name.as_str().unwrap_or_default(), "is no longer served");
            continue;
        };
        found.lost("selectableFields", &version["selectableFields"], &kept["selectableFields"]);
        found.differ("subresources", &version["subresources"], &kept["subresources"]);
        let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
        found.walk("", &schema(version), &schema(kept));
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn add(&mut self, path: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{path}: {what}"));
    }

    fn differ(&mut self, path: &str, old: &Value, new: &Value) {
        if old != new {
            self.add(path, format_args!("was {old} and is {new}"));
        }
    }

    /// Reports items of a list that were removed.
    fn lost(&mut self, path: &str, old: &Value, new: &Value) {
        for item in list(old).iter().filter(|item| !list(new).contains(item)) {
            self.add(path, format_args!("{item} was removed"));
        }
    }

    fn walk(&mut self, path: &str, old: &Value, new: &Value) {
        let none = Map::new();
        let (old_words, new_words) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
        let words: BTreeSet<&String> = old_words.keys().chain(new_words.keys()).collect();
        for word in words {
            self.word(path, word, &old[word], &new[word]);
        }
        if path.starts_with(".spec") && !new["default"].is_null() {
            self.add(path, "has a default, which would be written into objects that nobody changed");
        }
    }

    /// Compares one keyword of a schema. An unknown keyword is reported.
    fn word(&mut self, path: &str, word: &str, old: &Value, new: &Value) {
        match word {
            "properties" => self.properties(path, old, new),
            "items" => self.walk(&format!("{path}[]"), old, new),
            "required" => self.required(path, old, new),
            // A tool must be ready for new values in a status. A spec may accept more.
            "enum" if !old.is_null() && !new.is_null() => self.lost(&format!("{path} enum"), old, new),
            "x-kubernetes-validations" => self.rules(path, old, new),
            _ if HARMLESS.contains(&word) => {}
            _ if is_wider(word, old, new) => {}
            _ => self.differ(&format!("{path} {word}"), old, new),
        }
    }

    fn properties(&mut self, path: &str, old: &Value, new: &Value) {
        for (name, property) in old.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match new.get(name) {
                Some(now) => self.walk(&path, property, now),
                None => self.add(&path, "was removed"),
            }
        }
        for (name, property) in new.as_object().into_iter().flatten() {
            if old.get(name).is_none() && !property["default"].is_null() {
                self.add(&format!("{path}.{name}"), "is new and has a default");
            }
        }
    }

    /// A manifest does not need more fields than before, and a status does not have fewer.
    fn required(&mut self, path: &str, old: &Value, new: &Value) {
        for field in list(new).iter().filter(|field| !list(old).contains(field)) {
            self.add(path, format_args!("{field} is required now"));
        }
        if path.starts_with(".status") {
            for field in list(old).iter().filter(|field| !list(new).contains(field)) {
                self.add(path, format_args!("{field} may be absent now"));
            }
        }
    }

    /// The text of a rule does not show what the rule rejects, so every rule that is added or removed is reported.
    fn rules(&mut self, path: &str, old: &Value, new: &Value) {
        let texts = |rules: &Value| -> BTreeSet<String> {
            list(rules).iter().filter_map(|rule| rule["rule"].as_str().map(str::to_owned)).collect()
        };
        let (old, new) = (texts(old), texts(new));
        for rule in new.difference(&old) {
            self.add(path, format_args!("has a new rule: {rule}"));
        }
        for rule in old.difference(&new) {
            self.add(path, format_args!("no longer has the rule: {rule}"));
        }
    }
}

/// Returns whether an existing bound still allows everything that it allowed before.
fn is_wider(word: &str, old: &Value, new: &Value) -> bool {
    if new.is_null() {
        return ONLY_DOWN.contains(&word) || ONLY_UP.contains(&word);
    }
    let (Some(old), Some(new)) = (old.as_f64(), new.as_f64()) else { return false };
    (ONLY_DOWN.contains(&word) && new <= old) || (ONLY_UP.contains(&word) && new >= old)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
