//! Compares the keys in the sandbox's responses with those in the API reference.

use std::collections::BTreeSet;

use cde_sandbox::cde::{Connector, Sandbox, Version, new_id};
use serde_json::Value;

use crate::client::{read, restore, rollback};

const CONNECTOR: &str =
    "description flow id integrator main main-version-number name owner readme type versions";

const VERSION: &str = "config created-at deleted-at description dev_config logo name platform_dev_reference \
    platform_prod_reference prod_config readme state updated-at version";

const CONFIG: &str = "application authentication-registrations \
    authentication-registrations-additional-fields buckets container-api-config data-service datasource \
    docker docker.image-name docker.image-tag docker.registry-url execution execution.container-api \
    execution.container-api-image execution.container-api.image execution.container-api.version-constraint \
    execution.docker-host execution.execution-mode export feature-flags individuals migration \
    secret-registrations update-progress vcs";

/// The keys in the configuration of a version that was synchronized.
const SYNCHRONIZED: &str = "export.channel-config export.channels export.feedback-application-config \
    export.feedback-file-enabled export.feedback-file-source-connection-column \
    export.feedback-file-target-connection-column individuals[].command-option individuals[].created-at \
    individuals[].field-config individuals[].field-default-value individuals[].field-description \
    individuals[].field-name individuals[].field-placeholder individuals[].field-required \
    individuals[].field-type individuals[].order individuals[].updated-at secret-registrations[].fields \
    secret-registrations[].ini_header secret-registrations[].vault_secret vcs.authorization vcs.branch \
    vcs.deploy-key-public vcs.latest-commit vcs.url vcs.username";

const DEVELOPMENT: &str = "account assigned-to-channel assigned-to-channel-site \
    assigned-to-channel-site-destination assigned-to-site executable platform-connector project runtime \
    runtime.environment runtime.version site site-processing-cluster";

const PRODUCTION: &str = "assigned-to-sites enabled-for-accounts enabled-for-projects enabled-for-sites \
    executable platform-connector released runtime runtime.environment runtime.version target-accounts \
    target-projects target-sites version";

type Paths = BTreeSet<String>;

fn under(prefix: &str, keys: &str) -> Paths {
    keys.split_whitespace().map(|key| format!("{prefix}{key}")).collect()
}

/// Returns the keys of a version whose configurations have the given keys.
fn version_with(configurations: &[(&str, &str)]) -> Paths {
    let references = [("platform_dev_reference.", DEVELOPMENT), ("platform_prod_reference.", PRODUCTION)];
    let all = [("", VERSION)].into_iter().chain(references).chain(configurations.iter().copied());
    all.flat_map(|(prefix, keys)| under(prefix, keys)).collect()
}

/// Returns every key of the JSON with its path. Members of lists share a path.
fn paths(json: &Value, at: &str) -> Paths {
    match json {
        Value::Object(members) => {
            let nested = members.iter().flat_map(|(key, value)| {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                let mut found = paths(value, &path);
                found.insert(path);
                found
            });
            nested.collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| paths(item, &format!("{at}[]"))).collect(),
        _ => Paths::new(),
    }
}

fn created() -> Paths {
    version_with(&[("config.", CONFIG), ("config.", "datasource.categories")])
}

#[tokio::test]
async fn the_response_to_a_rollback_has_exactly_the_documented_fields() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = new_id();
    sandbox.put(Connector::migrated(id).kind("export"));
    let got = rollback(&sandbox, id).await;
    assert_eq!((got.status, got.message().as_str()), (200, "successful operation"));
    assert!(got.head.contains("content-type: application/json"), "{}", got.head);
    assert_eq!(paths(&got.json(), "").into_iter().filter(|path| !path.contains('.')).count(), 2);

    let documented = version_with(&[
        ("config.", CONFIG),
        ("config.", SYNCHRONIZED),
        ("config.", "migration.legacy-executable"),
        ("dev_config.", CONFIG),
        ("dev_config.", SYNCHRONIZED),
    ]);
    assert_eq!(paths(&got.json()["data"], ""), documented);
}

#[tokio::test]
async fn the_response_to_a_restore_has_exactly_the_documented_fields() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = new_id();
    sandbox.put(Connector::in_bin(id).version(Version::new("1.0.0")).version(Version::new("2.0.0")));
    let got = restore(&sandbox, id).await;
    assert_eq!((got.status, got.message().as_str()), (200, "Connector has been restored from bin."));
    let json = got.json();
    assert_eq!(json["resource"], "connector");
    assert_eq!((&json["data"]["main"], &json["data"]["main-version-number"]), (&Value::Null, &Value::Null));
    let mut connector = json["data"].clone();
    let versions = connector["versions"].take();
    assert_eq!(paths(&connector, ""), under("", CONNECTOR));
    for version in versions.as_array().unwrap() {
        assert_eq!(paths(version, ""), created());
        assert_eq!(version["deleted-at"], Value::Null);
    }
    assert_eq!(versions.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_read_connector_has_the_fields_of_a_restored_one_and_its_main_version() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = new_id();
    sandbox.put(Connector::live(id).version(Version::new("1.0.0")).main(1));
    let got = read(&sandbox, id).await;
    assert_eq!(got.status, 200);
    let json = got.json();
    assert_eq!(json["data"]["main"], json["data"]["versions"][0]);
    assert_eq!(paths(&json["data"]["main"], ""), created());
    assert_eq!(json["data"]["id"], id.to_string());
}
