//! The requests that the API server answered, from its audit log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// One request that the API server has answered. A watch appears when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The user, such as `system:serviceaccount:NAMESPACE:NAME` or `admin`.
    pub user: String,
    /// As the client sent it; empty if it sent none.
    pub user_agent: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, such as `migrationrollbacks`.
    pub resource: String,
    /// The subresource, such as `status`; empty if there is none.
    pub subresource: String,
    /// The namespace; empty for requests across namespaces.
    pub namespace: String,
    /// The name of the object; empty for lists, watches and creations.
    pub name: String,
    /// The HTTP status code.
    pub code: u16,
    /// When the request arrived.
    pub received: Timestamp,
    /// When its response was complete.
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

/// The requests that the audit log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audited {
    /// Those about the resources that the operator uses.
    Operator,
    All,
}

/// Returns the audit policy: one line per answered request, if it is to be audited.
pub(super) fn policy(audited: Audited) -> Value {
    let rules = match audited {
        Audited::Operator => json!([
            {"level": "Metadata", "resources": [
                {"group": "cde.productsup.com"},
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io"},
                {"group": "coordination.k8s.io"},
            ]},
            {"level": "None"},
        ]),
        Audited::All => json!([{"level": "Metadata"}]),
    };
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        "rules": rules,
    })
}

/// Reads the audit log of a control plane from an offset, each line once.
#[derive(Debug)]
pub struct AuditReader {
    log: PathBuf,
    /// The offset of the next line.
    offset: u64,
    namespace: Option<String>,
    events: Vec<AuditEvent>,
}

impl AuditReader {
    /// Returns a reader that starts at the beginning of the log.
    pub(super) fn from_start(log: PathBuf) -> Self {
        Self { log, offset: 0, namespace: None, events: Vec::new() }
    }

    /// Returns a reader of the lines about one namespace that are written from now on.
    pub(super) fn from_now(log: PathBuf, namespace: &str) -> Result<Self> {
        let mut reader = Self::from_start(log);
        reader.offset = reader.whole_lines()?.1;
        reader.namespace = Some(namespace.to_owned());
        Ok(reader)
    }

    /// Returns the events so far, in the order of their responses. A line that is still being written is left for the
    /// next call.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn events(&mut self) -> Result<&[AuditEvent]> {
        let (new, end) = self.whole_lines()?;
        for line in new.lines() {
            let event = decode(line)?;
            if self.namespace.as_ref().is_none_or(|namespace| event.namespace == *namespace) {
                self.events.push(event);
            }
        }
        self.offset = end;
        Ok(&self.events)
    }

    /// Returns the complete lines from `offset` on, and the offset where they end.
    fn whole_lines(&self) -> Result<(String, u64)> {
        if !self.log.exists() {
            return Ok((String::new(), self.offset));
        }
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.offset))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let mut bytes =
            read().with_context(|| format!("cannot read the audit log {}", self.log.display()))?;
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        let end = self.offset + bytes.len() as u64;
        Ok((String::from_utf8(bytes).context("the audit log is not UTF-8")?, end))
    }
}

fn decode(line: &str) -> Result<AuditEvent> {
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
}
