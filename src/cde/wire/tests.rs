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
fn a_body_without_a_malformed_field_is_decoded_in_one_pass_with_the_same_result() {
    let mut incomplete = full();
    incomplete["config"] = Value::Null;
    incomplete["platform_prod_reference"].as_object_mut().unwrap().remove("executable");
    let body = json!({"data": {"id": "a", "flow": null, "versions": [full(), {}, incomplete]}}).to_string();
    let strict = connector_in(parse::<ConnectorBody<Strict>>(&body).unwrap()).unwrap();
    assert_eq!(strict, connector_in(parse::<ConnectorBody<Lenient>>(&body).unwrap()).unwrap());
    assert_eq!(strict, connector(body.as_bytes()).unwrap());
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
    for wrong in ["1e999", "-1e999", "99999999999999999999999", r#""\ud800""#, r#"{"\ud800": 1}"#, "[[]]"] {
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
