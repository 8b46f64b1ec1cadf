//! Connectors and versions as JSON with every field and key that the API reference shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::connector::{Connector, Version};
use super::rules;

/// Returns `<connector>` of the API's responses.
pub(super) fn connector(connector: &Connector) -> Value {
    let versions: Vec<Value> = connector.versions.iter().map(|one| version(one, &connector.kind)).collect();
    json!({
        "id": connector.id,
        "type": connector.kind,
        "name": connector.name,
        "description": connector.description,
        "readme": null,
        "flow": connector.flow,
        "main-version-number": connector.main,
        "owner": connector.owner,
        "integrator": connector.integrator,
        "versions": versions,
        "main": rules::main_version(connector).map(|main| version(main, &connector.kind)),
    })
}

/// Returns `<version>` of the API's responses, for a connector of the given `type`.
pub(super) fn version(version: &Version, kind: &str) -> Value {
    let migrated = version.legacy.is_some() || version.rolled_back > 0;
    let migration = if migrated { json!({"legacy-executable": version.legacy}) } else { Value::Null };
    let configured = version.state != "created";
    json!({
        "name": version.name,
        "description": "Description",
        "readme": null,
        "version": version.version,
        "logo": null,
        "created-at": time(version.created_at),
        "updated-at": time(version.updated_at),
        "deleted-at": version.deleted_at.map(time),
        "state": version.state,
        "config": config(version, kind, &migration),
        "platform_dev_reference": {
            "account": null,
            "project": null,
            "executable": version.development,
            "platform-connector": version.development_platform_connector,
            "site": null,
            "site-processing-cluster": null,
            "assigned-to-site": null,
            "assigned-to-channel": null,
            "assigned-to-channel-site": null,
            "assigned-to-channel-site-destination": null,
            "runtime": runtime(),
        },
        "platform_prod_reference": {
            "executable": version.production,
            "platform-connector": version.production_platform_connector,
            "target-accounts": [],
            "target-projects": [],
            "target-sites": [],
            "enabled-for-accounts": [],
            "enabled-for-projects": [],
            "enabled-for-sites": [],
            "assigned-to-sites": [],
            "released": false,
            "version": null,
            "runtime": runtime(),
        },
        "prod_config": null,
        "dev_config": configured.then(|| config(version, kind, &Value::Null)),
    })
}

/// Returns the configuration. A version that was only created has no source and no secrets yet.
fn config(version: &Version, kind: &str, migration: &Value) -> Value {
    let configured = version.state != "created";
    let export = kind == "export";
    json!({
        "update-progress": [],
        "secret-registrations": if configured { secrets() } else { json!([]) },
        "authentication-registrations": if configured { json!([30]) } else { json!([]) },
        "authentication-registrations-additional-fields": [],
        "application": null,
        "vcs": configured.then(vcs),
        "docker": {"image-name": null, "image-tag": null, "registry-url": null},
        "individuals": if configured { individuals(version) } else { json!([]) },
        "migration": migration,
        "execution": {
            "execution-mode": "as-env-variables",
            "container-api-image": "registry.example/container-api:1.0.0",
            "docker-host": null,
            "container-api": {"image": null, "version-constraint": "^9.9.9"},
        },
        "export": export.then(export_config),
        "data-service": null,
        "datasource": (!export).then(|| json!({"categories": ["miscellaneous"]})),
        "buckets": [],
        "feature-flags": [],
        "container-api-config": null,
    })
}

fn secrets() -> Value {
    json!([{"ini_header": "sandbox::shop", "vault_secret": "sandbox/shop", "fields": []}])
}

fn vcs() -> Value {
    json!({
        "authorization": "basic",
        "url": "https://git.example/connector.git",
        "branch": "main",
        "username": "username",
        "deploy-key-public": null,
        "latest-commit": "0123456789abcdef0123456789abcdef01234567",
    })
}

fn individuals(version: &Version) -> Value {
    json!([{
        "command-option": "authentication_store_id",
        "field-type": "authentication_select",
        "field-name": "Authentication selection",
        "field-required": true,
        "field-placeholder": "",
        "field-description": "Select authentication provider",
        "field-default-value": "",
        "field-config": "",
        "order": 1,
        "created-at": time(version.created_at),
        "updated-at": time(version.created_at),
    }])
}

fn export_config() -> Value {
    json!({
        "channels": [34],
        "channel-config": [],
        "feedback-file-enabled": false,
        "feedback-file-source-connection-column": null,
        "feedback-file-target-connection-column": null,
        "feedback-application-config": null,
    })
}

fn runtime() -> Value {
    json!({"environment": "bin-docker-wrapper", "version": "14.50.47"})
}

/// Formats a time with whole seconds and a numeric offset, as the API does.
fn time(at: Timestamp) -> String {
    format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S"))
}
