//! The ID of a connector. It must be a UUID, because it becomes part of a URL path.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// Reads a UUID in the only form that the schema allows. An older CRD may have let other text through. Such an object
/// cannot be decoded.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    let id = Uuid::parse_str(&text).map_err(|error| D::Error::custom(format!("connectorID: {error}")))?;
    if id.hyphenated().to_string() == text {
        Ok(id)
    } else {
        Err(D::Error::custom("connectorID must be a lowercase UUID with hyphens"))
    }
}
