//! `ConnectorRestore`: take one connector out of the bin.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::crd::rules;
use super::status::{Status, TEXT, VersionFacts};

/// What to restore.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cde.productsup.com",
    version = "v1alpha1",
    kind = "ConnectorRestore",
    doc = "Takes one connector out of the CDE's bin, once. What came of it stands in `status`; a finished request is never done again.",
    namespaced,
    status = "Status<RestoreResult>",
    shortname = "crst",
    category = "cde",
    selectable = ".spec.connectorID",
    selectable = ".status.outcome",
    selectable = ".status.reason",
    validation = rules::outcome_is_kept(),
    validation = rules::attempts_never_go_down(),
    printcolumn(name = "Connector", type_ = "string", json_path = ".status.connector.name", description = "Name of the connector"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "The CDE's word for the state of the main version"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "True when the request succeeded or was skipped"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why the request stands where it stands"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    printcolumn(name = "ID", type_ = "string", json_path = ".spec.connectorID", priority = "1", description = "UUID of the connector"),
    printcolumn(name = "Attempts", type_ = "integer", json_path = ".status.operation.attempts", priority = "1", description = "How many attempts were made"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.operation.nextAttemptTime", priority = "1", description = "Not before this time does the operator call again"),
    printcolumn(name = "Deadline", type_ = "string", json_path = ".status.deadlineTime", priority = "1", description = "No attempt begins from this time on"),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.operation.completionTime", priority = "1", description = "Time since the request was finished"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.operation.server", priority = "1", description = "Base address of the CDE API"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1", description = "What a person should know"),
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorRestoreSpec {
    /// The connector to take out of the bin: a UUID in lower case. Immutable.
    #[serde(rename = "connectorID", deserialize_with = "super::connector_id::deserialize")]
    #[schemars(with = "String", length(max = 64))]
    #[x_kube(validation = rules::uuid(), validation = rules::immutable("connectorID"))]
    pub connector_id: Uuid,
    /// No attempt begins after this time (RFC 3339, for example 2026-11-30T00:00:00Z): the request is Expired.
    /// An object that is created more than a day after it is skipped: nothing is called. An operation is meant
    /// for now, not for a cluster that is rebuilt from Git next year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 40))]
    #[x_kube(validation = rules::time("notAfter"))]
    pub not_after: Option<Time>,
    /// No attempt begins later than this many seconds after the request's begin, which is the creation of the
    /// object, or the retry that opened it again; time spent suspended counts. Where it is absent the operator's
    /// --deadline holds (24 h unless set).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = rules::LONGEST_DEADLINE))]
    pub deadline_seconds: Option<i64>,
    /// While true no new attempt begins; one that is under way is finished and recorded. The connector is read once,
    /// and the condition Ready says what would happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// The part of the status that only a restore has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreResult {
    /// What the CDE says of the connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<ConnectorSummary>,
    /// The connector's versions, newest first, at most 10; the main version is among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = RestoredVersion::MOST), extend("x-kubernetes-list-type" = "atomic"))]
    pub versions: Vec<RestoredVersion>,
}

/// What the CDE says of a connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorSummary {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub name: Option<String>,
    /// Its type, for example datasource.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub type_: Option<String>,
    /// Its flow, for example default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub flow: Option<String>,
    /// The major version that `main` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_version_number: Option<i64>,
    /// UUID of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub owner: Option<String>,
    /// UUID of the integrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub integrator: Option<String>,
}

/// One version of a restored connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoredVersion {
    /// Semantic version, for example 1.0.0.
    #[schemars(length(max = TEXT))]
    pub version: String,
    /// State and IDs.
    #[serde(flatten)]
    pub facts: VersionFacts,
}

impl RestoredVersion {
    /// So many versions stand in a status at most.
    pub const MOST: usize = 10;
}
