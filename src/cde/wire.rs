//! From the bytes of an answer to the model.
//!
//! Only what the operator reads is kept; the rest is skipped without being stored, so memory is bounded by
//! the size of the body. What is odd (missing, of another type, a number beyond 64 bits) never spoils the
//! rest: it becomes [`Field::Missing`] and its path is noted. Of a key that stands twice the last counts.
//! Unreadable is only what is no JSON object in UTF-8 with an object `data`, or has a list of more than 10,000
//! items.

use serde::de::MapAccess;

use super::model::{Connector, Field, Version};
use super::place::{Expected, Place};

/// So many odd fields are named, then only that there are more.
const MAX_ODD: usize = 16;
/// So many texts of `errors` are shown.
const MAX_ERRORS: usize = 8;

/// Why a body says nothing.
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
}

/// `data` of a restore or a read, and what in it is odd.
pub(super) fn connector(body: &[u8]) -> Result<(Connector, Vec<String>), Unreadable> {
    let data: sent::Connector = data(body)?;
    let mut odd = Odd::default();
    Ok((data.into_model(&mut odd), odd.0))
}

/// `data` of a rollback, and what in it is odd.
pub(super) fn version(body: &[u8]) -> Result<(Version, Vec<String>), Unreadable> {
    let data: sent::Version = data(body)?;
    let mut odd = Odd::default();
    Ok((data.into_model("", &mut odd), odd.0))
}

/// What the API says in the body of a refusal: `message`, and the texts of `errors` where it is an object.
/// `None` where the body is no JSON object with a text `message`.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let Place::Is(refusal) = parse::<sent::Refusal>(body).ok()? else { return None };
    let Place::Is(message) = refusal.message else { return None };
    match refusal.errors {
        Place::Is(FieldErrors(errors)) if !errors.is_empty() => {
            Some(format!("{message} ({})", errors.join("; ")))
        }
        _ => Some(message),
    }
}

fn data<T: Expected>(body: &[u8]) -> Result<T, Unreadable> {
    match parse::<sent::Envelope<T>>(body)? {
        Place::Is(sent::Envelope { data: Place::Is(data) }) => Ok(data),
        _ => Err(Unreadable::NoData),
    }
}

fn parse<T: Expected>(body: &[u8]) -> Result<Place<T>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
    if text.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    serde_json::from_str(text).map_err(|why| Unreadable::Unparsable(why.to_string()))
}

/// `errors` of a refusal: `field: text` each; those that are no text are left out.
struct FieldErrors(Vec<String>);

impl Expected for FieldErrors {
    fn object<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut errors = Vec::new();
        while let Some((field, text)) = map.next_entry::<String, Place<String>>()? {
            if let (Place::Is(text), true) = (text, errors.len() < MAX_ERRORS) {
                errors.push(format!("{field}: {text}"));
            }
        }
        Ok(Some(Self(errors)))
    }
}

/// The objects as they are sent: the keys that are read, each with the type that it should have.
mod sent {
    use serde::de::{IgnoredAny, MapAccess};

    use super::{Expected, FieldErrors, Place};

    macro_rules! object {
        ($name:ident $(<$of:ident>)? { $($key:literal => $field:ident: $type:ty,)* }) => {
            pub(super) struct $name $(<$of>)? { $(pub(super) $field: Place<$type>,)* }

            impl $(<$of: Expected>)? Expected for $name $(<$of>)? {
                fn object<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
                    let mut object = Self { $($field: Place::Missing,)* };
                    while let Some(key) = map.next_key::<String>()? {
                        match key.as_str() {
                            $($key => object.$field = map.next_value()?,)*
                            _ => { map.next_value::<IgnoredAny>()?; }
                        }
                    }
                    Ok(Some(object))
                }
            }
        };
    }

    object! { Envelope<T> { "data" => data: T, } }

    object! { Refusal {
        "message" => message: String,
        "errors" => errors: FieldErrors,
    } }

    object! { Connector {
        "id" => id: String,
        "type" => r#type: String,
        "name" => name: String,
        "flow" => flow: String,
        "main-version-number" => main_version_number: i64,
        "owner" => owner: String,
        "integrator" => integrator: String,
        "versions" => versions: Vec<Place<Version>>,
    } }

    object! { Version {
        "version" => semver: String,
        "state" => state: String,
        "deleted-at" => deleted_at: String,
        "config" => config: Config,
        "platform_prod_reference" => production: Reference,
        "platform_dev_reference" => development: Reference,
    } }

    object! { Config { "migration" => migration: Migration, } }

    object! { Migration { "legacy-executable" => legacy_executable: i64, } }

    object! { Reference {
        "executable" => executable: i64,
        "platform-connector" => platform_connector: i64,
    } }
}

/// The paths of the fields that are missing or of another type; bounded.
#[derive(Default)]
struct Odd(Vec<String>);

impl Odd {
    fn note(&mut self, within: &str, key: &str) {
        match self.0.len() {
            0..MAX_ODD => self.0.push(format!("{within}{key}")),
            MAX_ODD => self.0.push("…".into()),
            _ => {}
        }
    }

    fn field<T>(&mut self, within: &str, key: &str, place: Place<T>) -> Field<T> {
        match place {
            Place::Is(value) => Field::Value(value),
            Place::Null => Field::Null,
            Place::Missing | Place::Odd => {
                self.note(within, key);
                Field::Missing
            }
        }
    }
}

impl sent::Connector {
    fn into_model(self, odd: &mut Odd) -> Connector {
        Connector {
            id: odd.field("", "id", self.id),
            r#type: odd.field("", "type", self.r#type),
            name: odd.field("", "name", self.name),
            flow: odd.field("", "flow", self.flow),
            main_version_number: odd.field("", "main-version-number", self.main_version_number),
            owner: odd.field("", "owner", self.owner),
            integrator: odd.field("", "integrator", self.integrator),
            versions: match odd.field("", "versions", self.versions) {
                Field::Value(items) => Field::Value(versions(items, odd)),
                Field::Null => Field::Null,
                Field::Missing => Field::Missing,
            },
        }
    }
}

/// An item that is no object stays in the list as a version of which nothing is known.
fn versions(items: Vec<Place<sent::Version>>, odd: &mut Odd) -> Vec<Version> {
    let read = |(index, item)| {
        if let Place::Is(version) = item {
            let version: sent::Version = version;
            version.into_model(&format!("versions[{index}]."), odd)
        } else {
            odd.note("", &format!("versions[{index}]"));
            Version::default()
        }
    };
    items.into_iter().enumerate().map(read).collect()
}

impl sent::Version {
    fn into_model(self, within: &str, odd: &mut Odd) -> Version {
        let legacy_executable = match self.config {
            Place::Is(sent::Config { migration: Place::Is(migration) }) => {
                odd.field(within, "config.migration.legacy-executable", migration.legacy_executable)
            }
            Place::Is(sent::Config { migration }) => {
                odd.field(within, "config.migration", migration.nothing())
            }
            config => odd.field(within, "config", config.nothing()),
        };
        let (production_executable, production_platform_connector) =
            reference(within, "platform_prod_reference", self.production, odd);
        let (development_executable, development_platform_connector) =
            reference(within, "platform_dev_reference", self.development, odd);
        Version {
            version: odd.field(within, "version", self.semver),
            state: odd.field(within, "state", self.state),
            deleted_at: odd.field(within, "deleted-at", self.deleted_at),
            legacy_executable,
            production_executable,
            production_platform_connector,
            development_executable,
            development_platform_connector,
        }
    }
}

fn reference(
    within: &str,
    key: &str,
    place: Place<sent::Reference>,
    odd: &mut Odd,
) -> (Field<i64>, Field<i64>) {
    if let Place::Is(reference) = place {
        let within = format!("{within}{key}.");
        (
            odd.field(&within, "executable", reference.executable),
            odd.field(&within, "platform-connector", reference.platform_connector),
        )
    } else {
        let both = odd.field(within, key, place.nothing());
        (both.clone(), both)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MAX_VERSIONS: usize = 10_000;

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
    fn a_version_is_read_with_its_mixed_keys() {
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
    fn a_connector_is_read_with_its_versions() {
        let (connector, odd) = read_connector(&json!({
            "id": "019e16f4", "type": "datasource", "name": "Name", "flow": "default", "main": null,
            "main-version-number": null, "owner": "o", "integrator": "i", "versions": [full(), full()],
        }));
        assert_eq!(odd, Vec::<String>::new());
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
    fn a_null_parent_makes_its_fields_null_and_nothing_odd() {
        for parent in ["config", "platform_prod_reference", "platform_dev_reference"] {
            let mut data = full();
            data[parent] = Value::Null;
            let (version, odd) = read(&data);
            assert!(odd.is_empty(), "{odd:?}");
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
    fn a_field_that_is_missing_or_of_another_type_is_missing_and_named() {
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
            let (expected, odd) = read(&without);
            assert_eq!(odd, [path], "removed");
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
        let (version, odd) = read(&data);
        assert_eq!((version.state, version.production_executable), (Field::Missing, Field::Missing));
        assert_eq!(odd, ["platform_prod_reference.executable", "state"]);
        data["platform_prod_reference"] = json!({"executable": {"id": 25}});
        assert_eq!(read(&data).0.production_executable, Field::Missing);
    }

    #[test]
    fn an_empty_object_is_all_missing() {
        assert_eq!(read(&json!({})).0, Version::default());
        assert_eq!(read_connector(&json!({})).0, Connector::default());
    }

    #[test]
    fn an_item_of_versions_that_is_no_object_stays_as_a_version_of_which_nothing_is_known() {
        let (connector, odd) = read_connector(&json!({"versions": [null, full(), 3]}));
        let versions = connector.versions.value().unwrap();
        assert_eq!(versions[0], Version::default());
        assert_eq!(versions[1], read(&full()).0);
        assert_eq!(versions[2], Version::default());
        assert!(odd.contains(&"versions[0]".into()) && odd.contains(&"versions[2]".into()), "{odd:?}");
        for (value, expected) in [(json!(null), Field::Null), (json!({}), Field::Missing)] {
            assert_eq!(read_connector(&json!({"versions": value})).0.versions, expected);
        }
    }

    #[test]
    fn the_list_of_odd_fields_is_bounded() {
        let (_, odd) = read_connector(&json!({"versions": vec![json!({}); 1000]}));
        assert_eq!((odd.len(), odd.last().unwrap().as_str()), (MAX_ODD + 1, "…"));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts() {
        let body = br#"{"data": 1, "data": {"state": "a", "state": "b"}, "message": [], "message": 2}"#;
        assert_eq!(version(body).unwrap().0.state, text("b"));
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
    fn a_body_that_is_not_json_is_unreadable_and_never_quoted() {
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
    fn ten_thousand_versions_are_read_and_one_more_is_unreadable() {
        let body = |n| format!(r#"{{"data": {{"versions": [{}]}}}}"#, vec!["{}"; n].join(","));
        let (read, _) = connector(body(MAX_VERSIONS).as_bytes()).unwrap();
        assert_eq!(read.versions.value().unwrap().len(), MAX_VERSIONS);
        let error = connector(body(MAX_VERSIONS + 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 10000 items"), "{error}");
    }

    #[test]
    fn a_refusal_says_its_message_and_the_texts_of_its_errors() {
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
    }
}
