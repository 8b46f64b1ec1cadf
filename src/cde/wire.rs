//! Decodes response bodies into the model.
//!
//! Decoding is lenient, because the API may change and one unexpected field must not hide the others.
//!
//! - Only the fields that the operator reads are stored, so memory is bounded by the size of the body.
//! - A field that is missing or malformed (of another type, an integer beyond 64 bits) becomes [`Field::Missing`]
//!   and its path is reported. A field that is null, or whose parent is, becomes [`Field::Null`].
//! - If a key occurs twice, the last one counts.
//! - A body is unreadable only if it is not a JSON object in UTF-8 with an object `data`, or lists more than 10,000
//!   versions. Errors never quote it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::lenient::{Key, Object, Raw, objects};
use super::model::{Connector, Field, Version};

/// A connector with more versions is unreadable.
const MAX_VERSIONS: usize = 10_000;
/// At most this many missing fields are named; a final `…` stands for the others.
const MAX_MISSING_FIELDS: usize = 16;
/// At most this many texts of `errors` are shown.
const MAX_ERRORS: usize = 8;

/// Why a body cannot be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("its body is not UTF-8")]
    NotUtf8,
    #[error("its body is empty")]
    Empty,
    #[error("its body cannot be parsed ({0})")]
    Unparsable(String),
    #[error("its body has no object `data`")]
    NoData,
    #[error("its body lists more than {MAX_VERSIONS} versions")]
    TooManyVersions,
}

/// Returns the connector in `data` of a call or a read, and the paths of its missing fields.
pub(super) fn connector(body: &[u8]) -> Result<(Connector, Vec<String>), Unreadable> {
    let mut missing = Missing::default();
    let ConnectorBody { data: Object(data) } = parse(body)?;
    let connector = missing.connector(&data.ok_or(Unreadable::NoData)?)?;
    Ok((connector, missing.paths))
}

/// Returns the version in `data` of a call, and the paths of its missing fields.
pub(super) fn version(body: &[u8]) -> Result<(Version, Vec<String>), Unreadable> {
    let mut missing = Missing::default();
    let VersionBody { data: Object(data) } = parse(body)?;
    let version = missing.version("", &data.ok_or(Unreadable::NoData)?);
    Ok((version, missing.paths))
}

/// Returns the `message` of an error body, followed by the texts of `errors` (`field: text`, by field) where that is
/// an object. `None` means that the body is not a JSON object with a text `message`.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    let Field::Value(message) = body.message.decode::<String>() else { return None };
    let Field::Value(texts) = body.errors.decode::<BTreeMap<String, Raw>>() else { return Some(message) };
    let text =
        |(field, json): (_, Raw)| json.decode::<String>().value().map(|text| format!("{field}: {text}"));
    let texts: Vec<String> = texts.into_iter().filter_map(text).take(MAX_ERRORS).collect();
    Some(if texts.is_empty() { message } else { format!("{message} ({})", texts.join("; ")) })
}

/// Parses a body with an object `data`.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
    if text.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    serde_json::from_str(text).map_err(|why| match why.classify() {
        Category::Data => Unreadable::NoData,
        // An error in the syntax does not quote the body.
        _ => Unreadable::Unparsable(why.to_string()),
    })
}

objects! {
    ConnectorBody<'a> { data: Object<ConnectorObject<'a>> = "data", }
    VersionBody<'a> { data: Object<VersionObject<'a>> = "data", }
    ErrorBody<'a> { message: Raw<'a> = "message", errors: Raw<'a> = "errors", }
    ConnectorObject<'a> {
        id: Raw<'a> = "id",
        type_: Raw<'a> = "type",
        name: Raw<'a> = "name",
        flow: Raw<'a> = "flow",
        main_version_number: Raw<'a> = "main-version-number",
        owner: Raw<'a> = "owner",
        integrator: Raw<'a> = "integrator",
        versions: Raw<'a> = "versions",
    }
    VersionObject<'a> {
        version: Raw<'a> = "version",
        state: Raw<'a> = "state",
        deleted_at: Raw<'a> = "deleted-at",
        config: Raw<'a> = "config",
        production: Raw<'a> = "platform_prod_reference",
        development: Raw<'a> = "platform_dev_reference",
    }
    ConfigObject<'a> { migration: Raw<'a> = "migration", }
    MigrationObject<'a> { legacy_executable: Raw<'a> = "legacy-executable", }
    ReferenceObject<'a> {
        executable: Raw<'a> = "executable",
        platform_connector: Raw<'a> = "platform-connector",
    }
}

/// The versions of a connector, of which one more than [`MAX_VERSIONS`] are stored.
struct Versions<'a>(Vec<Object<VersionObject<'a>>>);

impl<'de> Deserialize<'de> for Versions<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Versions<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut versions = Vec::new();
                while versions.len() <= MAX_VERSIONS
                    && let Some(item) = items.next_element()?
                {
                    versions.push(item);
                }
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Versions(versions))
            }
        }

        deserializer.deserialize_seq(Items)
    }
}

/// The paths of the missing fields.
#[derive(Default)]
struct Missing {
    paths: Vec<String>,
}

impl Missing {
    fn report(&mut self, prefix: &str, path: &str) {
        let path = format!("{prefix}{path}");
        if self.paths.len() <= MAX_MISSING_FIELDS && !self.paths.contains(&path) {
            let full = self.paths.len() == MAX_MISSING_FIELDS;
            self.paths.push(if full { "…".into() } else { path });
        }
    }

    /// Decodes the value at `path`.
    fn field<'a, T: Deserialize<'a>>(&mut self, prefix: &str, path: &str, json: Raw<'a>) -> Field<T> {
        let field = json.decode();
        if let Field::Missing = field {
            self.report(prefix, path);
        }
        field
    }

    /// Decodes the value at `path`, which is missing or null if its parent is.
    fn child<'a, T: Deserialize<'a>>(&mut self, prefix: &str, path: &str, json: &Field<Raw<'a>>) -> Field<T> {
        match json {
            Field::Value(json) => self.field(prefix, path, *json),
            Field::Null => Field::Null,
            Field::Missing => Field::Missing,
        }
    }

    fn connector(&mut self, object: &ConnectorObject<'_>) -> Result<Connector, Unreadable> {
        Ok(Connector {
            id: self.field("", "id", object.id),
            r#type: self.field("", "type", object.type_),
            name: self.field("", "name", object.name),
            flow: self.field("", "flow", object.flow),
            main_version_number: self.field("", "main-version-number", object.main_version_number),
            owner: self.field("", "owner", object.owner),
            integrator: self.field("", "integrator", object.integrator),
            versions: self.versions(object.versions)?,
        })
    }

    /// Decodes `versions`; an item that is not an object becomes a version without fields.
    fn versions(&mut self, json: Raw<'_>) -> Result<Field<Vec<Version>>, Unreadable> {
        let versions = self.field::<Versions>("", "versions", json);
        if versions.value().is_some_and(|Versions(items)| items.len() > MAX_VERSIONS) {
            return Err(Unreadable::TooManyVersions);
        }
        let version = |(index, Object(item)): (usize, Object<VersionObject>)| {
            let path = format!("versions[{index}]");
            let Some(object) = item else {
                self.report("", &path);
                return Version::default();
            };
            self.version(&format!("{path}."), &object)
        };
        Ok(versions.map(|Versions(items)| items.into_iter().enumerate().map(version).collect()))
    }

    fn version(&mut self, prefix: &str, object: &VersionObject<'_>) -> Version {
        let version = self.field(prefix, "version", object.version);
        let state = self.field(prefix, "state", object.state);
        let deleted_at = self.field(prefix, "deleted-at", object.deleted_at);
        let config = self.field::<ConfigObject>(prefix, "config", object.config);
        let migration = config.map(|config| config.migration);
        let migration = self.child::<MigrationObject>(prefix, "config.migration", &migration);
        let legacy = migration.map(|migration| migration.legacy_executable);
        let legacy_executable = self.child(prefix, "config.migration.legacy-executable", &legacy);
        let [production, development] =
            [("platform_prod_reference", object.production), ("platform_dev_reference", object.development)]
                .map(|(path, json)| self.reference(prefix, path, json));
        Version {
            version,
            state,
            deleted_at,
            legacy_executable,
            production_executable: production.0,
            production_platform_connector: production.1,
            development_executable: development.0,
            development_platform_connector: development.1,
        }
    }

    /// Decodes the executable and the platform connector of a reference.
    fn reference(&mut self, prefix: &str, path: &str, json: Raw<'_>) -> (Field<i64>, Field<i64>) {
        let reference = self.field::<ReferenceObject>(prefix, path, json);
        let executable = reference.as_ref().map(|reference| reference.executable);
        let platform_connector = reference.map(|reference| reference.platform_connector);
        let prefix = format!("{prefix}{path}.");
        (
            self.child(&prefix, "executable", &executable),
            self.child(&prefix, "platform-connector", &platform_connector),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
