//! A change of one member of a JSON document.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sets or removes the member at a JSON pointer, if its parent exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pointer: String,
    /// The new value; `None` removes the member.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

/// Reads an explicit `null` as a value and not as absence.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Edit {
    pub(super) fn set(pointer: String, value: Value) -> Self {
        Self { pointer, value: Some(value) }
    }

    pub(super) fn remove(pointer: String) -> Self {
        Self { pointer, value: None }
    }

    pub(super) fn apply(&self, json: &mut Value) {
        let Some((parent, key)) = self.pointer.rsplit_once('/') else { return };
        let Some(parent) = json.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
        match &self.value {
            Some(value) => drop(parent.insert(key.to_owned(), value.clone())),
            None => drop(parent.remove(key)),
        }
    }
}
