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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::error::Category;
use serde_json::value::RawValue;

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

/// A value as text, which is decoded on demand, so that a malformed one does not hide the others.
#[derive(Clone, Copy, Default)]
struct Raw<'a>(Option<&'a RawValue>);

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|json| Self(Some(json)))
    }
}

impl<'a> Raw<'a> {
    /// Decodes the value; a malformed one is missing.
    fn decode<T: Deserialize<'a>>(self) -> Field<T> {
        match self.0.map(|json| serde_json::from_str(json.get())) {
            Some(Ok(Some(value))) => Field::Value(value),
            Some(Ok(None)) => Field::Null,
            Some(Err(_)) | None => Field::Missing,
        }
    }
}

/// The key of a field.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        // Decoding fails for a key that is not valid Unicode, which is none of those that are read.
        Ok(Self(match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(key) if !key.contains('\\') => key.into(),
            _ => serde_json::from_str::<String>(text).unwrap_or_default().into(),
        }))
    }
}

/// Declares objects by the fields that are read; of a key that occurs twice, the last value counts.
macro_rules! objects {
    ($($object:ident<$lifetime:lifetime> { $($field:ident: $type:ty = $key:literal,)+ })+) => {$(
        struct $object<$lifetime> {
            $($field: $type,)+
        }

        impl<$lifetime> Deserialize<$lifetime> for $object<$lifetime> {
            fn deserialize<D: Deserializer<$lifetime>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<$lifetime> Visitor<$lifetime> for Fields {
                    type Value = $object<$lifetime>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<$lifetime>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $object { $($field: Default::default(),)+ };
                        while let Some(Key(key)) = map.next_key()? {
                            match key.as_ref() {
                                $($key => object.$field = map.next_value()?,)+
                                _ => map.next_value::<IgnoredAny>().map(drop)?,
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    )+};
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

/// An object, or `None` in place of a value of another type.
struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrNone(PhantomData))
    }
}

struct OrNone<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrNone<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Object(None))
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A version with every field that is read, and some that are not.
    fn full() -> Value {
        json!({
            "name": "omdb", "readme": null, "version": "1.0.0", "state": "synchronized-to-dev",
            "deleted-at": null,
            "config": {"secret-registrations": [{"fields": []}], "migration": {"legacy-executable": 24}},
            "platform_dev_reference": {"account": null, "executable": null, "platform-connector": null},
            "platform_prod_reference": {"executable": 25, "platform-connector": 5, "released": false},
            "prod_config": null,
        })
    }

    fn read(data: &Value) -> (Version, Vec<String>) {
        version(&serde_json::to_vec(&json!({"message": "ok", "data": data})).unwrap()).unwrap()
    }

    fn read_connector(data: &Value) -> (Connector, Vec<String>) {
        connector(&serde_json::to_vec(&json!({"resource": "connector", "data": data})).unwrap()).unwrap()
    }

    fn text(text: &str) -> Field<String> {
        Field::Value(text.into())
    }

    #[test]
    fn a_version_is_decoded_from_kebab_and_snake_case_keys() {
        let expected = Version {
            version: text("1.0.0"),
            state: text("synchronized-to-dev"),
            deleted_at: Field::Null,
            legacy_executable: Field::Value(24),
            production_executable: Field::Value(25),
            production_platform_connector: Field::Value(5),
            development_executable: Field::Null,
            development_platform_connector: Field::Null,
        };
        assert_eq!(read(&full()), (expected, vec![]));
    }

    #[test]
    fn a_connector_is_decoded_with_its_versions() {
        let (connector, missing) = read_connector(&json!({
            "id": "019e16f4", "type": "datasource", "name": "Name", "flow": "default", "main": null,
            "main-version-number": null, "owner": "o", "integrator": "i", "versions": [full(), full()],
        }));
        assert_eq!(missing, Vec::<String>::new());
        assert_eq!(connector.id, text("019e16f4"));
        assert_eq!(connector.r#type, text("datasource"));
        assert_eq!(connector.name, text("Name"));
        assert_eq!(connector.flow, text("default"));
        assert_eq!(connector.main_version_number, Field::Null);
        assert_eq!(connector.owner, text("o"));
        assert_eq!(connector.integrator, text("i"));
        assert_eq!(connector.versions.value().unwrap(), &[read(&full()).0, read(&full()).0]);
    }

    #[test]
    fn a_null_parent_makes_its_fields_null_and_reports_none() {
        for parent in ["config", "platform_prod_reference", "platform_dev_reference"] {
            let mut data = full();
            data[parent] = Value::Null;
            let (version, missing) = read(&data);
            assert!(missing.is_empty(), "{missing:?}");
            match parent {
                "config" => assert_eq!(version.legacy_executable, Field::Null),
                "platform_prod_reference" => {
                    assert_eq!(version.production_executable, Field::Null);
                    assert_eq!(version.production_platform_connector, Field::Null);
                }
                _ => {
                    assert_eq!(version.development_executable, Field::Null);
                    assert_eq!(version.development_platform_connector, Field::Null);
                }
            }
        }
        let mut data = full();
        data["config"]["migration"] = Value::Null;
        assert_eq!(read(&data).0.legacy_executable, Field::Null);
    }

    #[test]
    fn a_missing_or_malformed_field_is_missing_and_its_path_is_reported() {
        for path in [
            "version",
            "state",
            "deleted-at",
            "config",
            "config.migration",
            "config.migration.legacy-executable",
            "platform_prod_reference",
            "platform_prod_reference.executable",
            "platform_prod_reference.platform-connector",
            "platform_dev_reference",
            "platform_dev_reference.executable",
            "platform_dev_reference.platform-connector",
        ] {
            let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
            let pointer =
                if parents.is_empty() { String::new() } else { format!("/{}", parents.replace('.', "/")) };
            let mut without = full();
            without.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(key);
            let (expected, missing) = read(&without);
            assert_eq!(missing, [path], "removed");
            assert_ne!(expected, read(&full()).0);
            for wrong in [json!(true), json!(1.5), json!([1, [2, {"a": 3}]]), json!(u64::MAX), json!(1e300)] {
                let mut with = full();
                with.pointer_mut(&pointer).unwrap()[key] = wrong.clone();
                assert_eq!(read(&with), (expected.clone(), vec![path.to_owned()]), "{wrong}");
            }
        }
        let mut data = full();
        data["state"] = json!(7);
        data["platform_prod_reference"]["executable"] = json!("25");
        let (version, missing) = read(&data);
        assert_eq!((version.state, version.production_executable), (Field::Missing, Field::Missing));
        assert_eq!(missing, ["state", "platform_prod_reference.executable"]);
        data["platform_prod_reference"] = json!({"executable": {"id": 25}});
        assert_eq!(read(&data).0.production_executable, Field::Missing);
    }

    #[test]
    fn an_empty_object_has_no_fields() {
        assert_eq!(read(&json!({})).0, Version::default());
        assert_eq!(read_connector(&json!({})).0, Connector::default());
    }

    #[test]
    fn a_version_that_is_not_an_object_stays_in_the_list_without_fields() {
        let (connector, missing) = read_connector(&json!({"versions": [null, full(), 3]}));
        let versions = connector.versions.value().unwrap();
        assert_eq!(versions[0], Version::default());
        assert_eq!(versions[1], read(&full()).0);
        assert_eq!(versions[2], Version::default());
        assert!(
            missing.contains(&"versions[0]".into()) && missing.contains(&"versions[2]".into()),
            "{missing:?}"
        );
        for (value, expected) in [(json!(null), Field::Null), (json!({}), Field::Missing)] {
            assert_eq!(read_connector(&json!({"versions": value})).0.versions, expected);
        }
    }

    #[test]
    fn at_most_sixteen_missing_fields_are_named() {
        let missing = |items: usize| read_connector(&json!({"versions": vec![json!(0); items]})).1;
        let named = MAX_MISSING_FIELDS - 7;
        assert_eq!(missing(named).len(), MAX_MISSING_FIELDS, "seven of the connector, one of each version");
        assert_eq!(missing(named).last().unwrap(), &format!("versions[{}]", named - 1));
        for more in [1, 2, 1000] {
            let missing = missing(named + more);
            assert_eq!((missing.len(), missing.last().unwrap().as_str()), (MAX_MISSING_FIELDS + 1, "…"));
        }
    }

    #[test]
    fn a_value_that_serde_json_cannot_represent_spoils_only_its_field() {
        for wrong in ["1e999", "-1e999", "99999999999999999999999", r#""\ud800""#, r#"{"\ud800": 1}"#, "[[]]"]
        {
            let body = format!(
                r#"{{"data": {{"version": "1.0.0", "state": {wrong}, "config": {wrong}, "readme": {wrong},
                    "platform_prod_reference": {{"executable": {wrong}, "platform-connector": 5}}}}}}"#
            );
            let (version, missing) = version(body.as_bytes()).unwrap();
            assert_eq!((version.version, version.state), (text("1.0.0"), Field::Missing), "{wrong}");
            assert_eq!(version.production_executable, Field::Missing, "{wrong}");
            assert_eq!(version.production_platform_connector, Field::Value(5), "{wrong}");
            for path in ["state", "platform_prod_reference.executable"] {
                assert!(missing.iter().any(|missing| missing == path), "{wrong}: {missing:?}");
            }
            assert!(missing.iter().any(|missing| missing.starts_with("config")), "{wrong}: {missing:?}");
        }
    }

    #[test]
    fn a_key_counts_at_its_own_place_and_in_any_escaping() {
        let body =
            br#"{"data": {"state": 1, "config": {"state": "a"}, "st\u0061te": "b", "other": {"state": "c"}},
            "state": "d"}"#;
        assert_eq!(version(body).unwrap().0.state, text("b"));
    }

    #[test]
    fn the_last_of_duplicate_keys_counts() {
        let body = br#"{"data": 1, "data": {"state": "a", "state": "b"}, "message": [], "message": 2}"#;
        assert_eq!(version(body).unwrap().0.state, text("b"));
        assert_eq!(message(br#"{"message": 7, "message": "No."}"#).as_deref(), Some("No."));
        let body = br#"{"data": {"state": "a"}, "data": null}"#;
        assert_eq!(version(body), Err(Unreadable::NoData));
    }

    #[test]
    fn a_body_without_an_object_data_is_unreadable() {
        for body in
            ["{}", "[]", "null", "1", r#""data""#, r#"{"data": null}"#, r#"{"data": []}"#, r#"{"data": "x"}"#]
        {
            assert_eq!(version(body.as_bytes()).unwrap_err(), Unreadable::NoData, "{body}");
            assert_eq!(connector(body.as_bytes()).unwrap_err(), Unreadable::NoData, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_unreadable_and_is_not_quoted() {
        for body in
            ["", " \n", "<html>hunter2</html>", r#"{"data": {"state": "hunter2"#, "{\"data\": {}} hunter2"]
        {
            let error = version(body.as_bytes()).unwrap_err();
            assert!(matches!(error, Unreadable::Empty | Unreadable::Unparsable(_)), "{error:?}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(version(b"{\"data\": {\"readme\": \"\xff\"}}").unwrap_err(), Unreadable::NotUtf8);
        let nested = "[".repeat(1_000_000);
        assert!(version(nested.as_bytes()).is_err());
        assert!(version(format!(r#"{{"data": {{"config": {nested}"#).as_bytes()).is_err());
    }

    #[test]
    fn ten_thousand_versions_are_decoded_and_one_more_is_unreadable() {
        let body = |n| format!(r#"{{"data": {{"versions": [{}]}}}}"#, vec!["{}"; n].join(","));
        let (read, _) = connector(body(MAX_VERSIONS).as_bytes()).unwrap();
        assert_eq!(read.versions.value().unwrap().len(), MAX_VERSIONS);
        let error = connector(body(MAX_VERSIONS + 1).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "its body lists more than 10000 versions");
    }

    #[test]
    fn an_error_shows_its_message_and_the_texts_of_its_errors() {
        for (body, expected) in [
            (r#"{"message": "No.", "errors": []}"#, Some("No.")),
            (r#"{"message": "No."}"#, Some("No.")),
            (r#"{"message": "No.", "errors": {}}"#, Some("No.")),
            (
                r#"{"message": "No.", "errors": {"a": "bad", "b": ["x"], "c": "worse"}}"#,
                Some("No. (a: bad; c: worse)"),
            ),
            (r#"{"message": "", "errors": null}"#, Some("")),
            (r#"{"message": 7}"#, None),
            (r#"{"errors": {"a": "bad"}}"#, None),
            (r#"["message"]"#, None),
            ("<html>404</html>", None),
            ("", None),
        ] {
            assert_eq!(message(body.as_bytes()).as_deref(), expected, "{body}");
        }
        let errors: serde_json::Map<_, _> = (0..9).map(|n| (n.to_string(), json!("x"))).collect();
        let body = json!({"message": "No.", "errors": errors}).to_string();
        assert_eq!(
            message(body.as_bytes()).as_deref(),
            Some("No. (0: x; 1: x; 2: x; 3: x; 4: x; 5: x; 6: x; 7: x)")
        );
    }
}
