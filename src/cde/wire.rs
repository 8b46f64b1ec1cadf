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
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::lenient::{Decoded, Key, Lenient, Mode, Strict, objects};
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
    let text = text(body)?;
    match serde_json::from_str::<ConnectorBody<Strict>>(text) {
        Ok(body) => connector_in(body),
        Err(_) => connector_in(parse::<ConnectorBody<Lenient>>(text)?),
    }
}

fn connector_in<M>(body: ConnectorBody<M>) -> Result<(Connector, Vec<String>), Unreadable> {
    let mut missing = Missing::default();
    let connector = missing.connector(body.data.0.into_value().ok_or(Unreadable::NoData)?)?;
    Ok((connector, missing.paths))
}

/// Returns the version in `data` of a call, and the paths of its missing fields.
pub(super) fn version(body: &[u8]) -> Result<(Version, Vec<String>), Unreadable> {
    let text = text(body)?;
    match serde_json::from_str::<VersionBody<Strict>>(text) {
        Ok(body) => version_in(body),
        Err(_) => version_in(parse::<VersionBody<Lenient>>(text)?),
    }
}

fn version_in<M>(body: VersionBody<M>) -> Result<(Version, Vec<String>), Unreadable> {
    let mut missing = Missing::default();
    let version = missing.version("", body.data.0.into_value().ok_or(Unreadable::NoData)?);
    Ok((version, missing.paths))
}

/// Returns the `message` of an error body, followed by the texts of `errors` (`field: text`, by field) where that is
/// an object. `None` means that the body is not a JSON object with a text `message`.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let ErrorBody { message, errors } = serde_json::from_slice::<ErrorBody<Lenient>>(body).ok()?;
    let message = message.0.into_value()?;
    let Some(errors) = errors.0.into_value() else { return Some(message) };
    let text = |(field, text): (_, Decoded<_, String>)| Some(format!("{field}: {}", text.0.into_value()?));
    let texts: Vec<String> = errors.into_iter().filter_map(text).take(MAX_ERRORS).collect();
    Some(if texts.is_empty() { message } else { format!("{message} ({})", texts.join("; ")) })
}

fn text(body: &[u8]) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
    if text.trim().is_empty() { Err(Unreadable::Empty) } else { Ok(text) }
}

/// Parses a body with an object `data`.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|why| match why.classify() {
        Category::Data => Unreadable::NoData,
        // An error in the syntax does not quote the body.
        _ => Unreadable::Unparsable(why.to_string()),
    })
}

objects! {
    ConnectorBody { data: ConnectorObject<M> = "data", }
    VersionBody { data: VersionObject<M> = "data", }
    ErrorBody { message: String = "message", errors: BTreeMap<String, Decoded<M, String>> = "errors", }
    ConnectorObject {
        id: String = "id",
        type_: String = "type",
        name: String = "name",
        flow: String = "flow",
        main_version_number: i64 = "main-version-number",
        owner: String = "owner",
        integrator: String = "integrator",
        versions: Versions<M> = "versions",
    }
    VersionObject {
        version: String = "version",
        state: String = "state",
        deleted_at: String = "deleted-at",
        config: ConfigObject<M> = "config",
        production: ReferenceObject<M> = "platform_prod_reference",
        development: ReferenceObject<M> = "platform_dev_reference",
    }
    ConfigObject { migration: MigrationObject<M> = "migration", }
    MigrationObject { legacy_executable: i64 = "legacy-executable", }
    ReferenceObject {
        executable: i64 = "executable",
        platform_connector: i64 = "platform-connector",
    }
}

/// The versions of a connector, of which one more than [`MAX_VERSIONS`] are stored.
struct Versions<M>(Vec<Decoded<M, VersionObject<M>>>);

impl<'de, M: Mode> Deserialize<'de> for Versions<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<M>(PhantomData<M>);

        impl<'de, M: Mode> Visitor<'de> for Items<M> {
            type Value = Versions<M>;

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

        deserializer.deserialize_seq(Items(PhantomData))
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

    /// Returns the field at `path`, which is reported if it is missing.
    fn field<M, T>(&mut self, prefix: &str, path: &str, decoded: Decoded<M, T>) -> Field<T> {
        if let Field::Missing = decoded.0 {
            self.report(prefix, path);
        }
        decoded.0
    }

    /// Returns a field of the object at `path`, which is missing or null if the object is.
    fn child<M, P, T>(
        &mut self,
        prefix: &str,
        path: &str,
        parent: Field<P>,
        child: impl FnOnce(P) -> Decoded<M, T>,
    ) -> Field<T> {
        match parent {
            Field::Value(parent) => self.field(prefix, path, child(parent)),
            Field::Null => Field::Null,
            Field::Missing => Field::Missing,
        }
    }

    fn connector<M>(&mut self, object: ConnectorObject<M>) -> Result<Connector, Unreadable> {
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

    /// Returns `versions`; an item that is not an object becomes a version without fields.
    fn versions<M>(&mut self, versions: Decoded<M, Versions<M>>) -> Result<Field<Vec<Version>>, Unreadable> {
        let versions = self.field("", "versions", versions);
        if versions.value().is_some_and(|Versions(items)| items.len() > MAX_VERSIONS) {
            return Err(Unreadable::TooManyVersions);
        }
        let version = |(index, item): (usize, Decoded<M, VersionObject<M>>)| {
            let path = format!("versions[{index}]");
            let Field::Value(object) = item.0 else {
                self.report("", &path);
                return Version::default();
            };
            self.version(&format!("{path}."), object)
        };
        Ok(versions.map(|Versions(items)| items.into_iter().enumerate().map(version).collect()))
    }

    fn version<M>(&mut self, prefix: &str, object: VersionObject<M>) -> Version {
        let version = self.field(prefix, "version", object.version);
        let state = self.field(prefix, "state", object.state);
        let deleted_at = self.field(prefix, "deleted-at", object.deleted_at);
        let config = self.field(prefix, "config", object.config);
        let migration = self.child(prefix, "config.migration", config, |config| config.migration);
        let legacy = "config.migration.legacy-executable";
        let legacy_executable =
            self.child(prefix, legacy, migration, |migration| migration.legacy_executable);
        let [production, development] =
            [("platform_prod_reference", object.production), ("platform_dev_reference", object.development)]
                .map(|(path, reference)| self.reference(prefix, path, reference));
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

    /// Returns the executable and the platform connector of a reference.
    fn reference<M>(
        &mut self,
        prefix: &str,
        path: &str,
        reference: Decoded<M, ReferenceObject<M>>,
    ) -> (Field<i64>, Field<i64>) {
        match self.field(prefix, path, reference) {
            Field::Value(reference) => {
                let prefix = format!("{prefix}{path}.");
                (
                    self.field(&prefix, "executable", reference.executable),
                    self.field(&prefix, "platform-connector", reference.platform_connector),
                )
            }
            Field::Null => (Field::Null, Field::Null),
            Field::Missing => (Field::Missing, Field::Missing),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
