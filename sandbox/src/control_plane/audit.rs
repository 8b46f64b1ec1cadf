//! What the API server was asked, counted where it counts: in its own audit log.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// One request that the API server has answered. Watches appear when they end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Such as `system:serviceaccount:NAMESPACE:NAME`, or `admin`.
    pub user: String,
    /// As the client sent it; empty if it sent none.
    pub user_agent: String,
    /// Empty for the core group.
    pub group: String,
    /// The plural, such as `migrationrollbacks`.
    pub resource: String,
    /// Such as `status`; empty if none.
    pub subresource: String,
    /// Empty for requests across namespaces.
    pub namespace: String,
    /// Empty for lists, watches and creations.
    pub name: String,
    /// The HTTP status code.
    pub code: u16,
    /// When the request arrived.
    pub received: Timestamp,
    /// When its answer was complete.
    pub answered: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
struct ResponseStatus {
    code: u16,
}

/// The audit policy: one line per answered request for what the operator touches, and nothing else.
pub(super) fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        "rules": [
            {"level": "Metadata", "resources": [
                {"group": "cde.productsup.com"},
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io"},
                {"group": "coordination.k8s.io"},
            ]},
            {"level": "None"},
        ],
    })
}

/// Returns the events so far whose line contains `text`, in the order of their answers. A line that is still being
/// written is left for the next read.
pub(super) fn read(log: &Path, text: &str) -> Result<Vec<AuditEvent>> {
    if !log.exists() {
        return Ok(Vec::new());
    }
    let content =
        fs::read_to_string(log).with_context(|| format!("cannot read the audit log {}", log.display()))?;
    let whole_lines = content.rfind('\n').map_or("", |end| &content[..end]);
    whole_lines
        .lines()
        .filter(|line| line.contains(text))
        .map(|line| {
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("a line of the audit log is not an event: {line}"))?;
            let ObjectRef { api_group, resource, subresource, namespace, name } = line.object_ref;
            Ok(AuditEvent {
                verb: line.verb,
                user: line.user.username,
                user_agent: line.user_agent,
                group: api_group,
                resource,
                subresource,
                namespace,
                name,
                code: line.response_status.code,
                received: line.request_received_timestamp,
                answered: line.stage_timestamp,
            })
        })
        .collect()
}
