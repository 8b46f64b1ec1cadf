//! What of a definition may never change within a version of the API, found by walking two of them side by side.
//!
//! A manifest that was accepted stays so, a stored object stays readable, a tool finds what it read before. Fields may
//! be added. Whatever is not known to be harmless is named.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Words of a schema for people alone.
const HARMLESS: [&str; 3] = ["description", "title", "example"];
/// Bounds that may be widened in one direction: words that may only fall, and words that may only rise.
const ONLY_DOWN: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
const ONLY_UP: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];

/// Where the definition `new` breaks what `old` promised, one sentence each.
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

    /// Items of a list that are there no more.
    fn lost(&mut self, path: &str, old: &Value, new: &Value) {
        for item in list(old).iter().filter(|item| !list(new).contains(item)) {
            self.add(path, format_args!("{item} is gone"));
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
            self.add(path, "has a default: it would be written into objects that nobody changed");
        }
    }

    /// One word of a schema; what it does not know it refuses.
    fn word(&mut self, path: &str, word: &str, old: &Value, new: &Value) {
        match word {
            "properties" => self.properties(path, old, new),
            "items" => self.walk(&format!("{path}[]"), old, new),
            "required" => self.required(path, old, new),
            // Of a status a tool must be ready to read new words; a spec may take more.
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
                None => self.add(&path, "is gone"),
            }
        }
        for (name, property) in new.as_object().into_iter().flatten() {
            if old.get(name).is_none() && !property["default"].is_null() {
                self.add(&format!("{path}.{name}"), "is new and has a default");
            }
        }
    }

    /// A manifest need not say more than before, and a status does not say less.
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

    /// What a rule refuses nobody can tell from its text: each one that comes or goes is named.
    fn rules(&mut self, path: &str, old: &Value, new: &Value) {
        let texts = |rules: &Value| -> BTreeSet<String> {
            list(rules).iter().filter_map(|rule| rule["rule"].as_str().map(str::to_owned)).collect()
        };
        let (old, new) = (texts(old), texts(new));
        for rule in new.difference(&old) {
            self.add(path, format_args!("has a new rule: {rule}"));
        }
        for rule in old.difference(&new) {
            self.add(path, format_args!("has lost a rule: {rule}"));
        }
    }
}

/// Whether a bound that was there lets through all that it did before.
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
