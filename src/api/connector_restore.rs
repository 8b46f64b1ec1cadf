//! `ConnectorRestore`: restore one connector from the bin.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::crd::rules;
use super::status::{Status, TEXT, VersionFacts};

/// The connector to restore, and the limits of the request.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cde.productsup.com",
    version = "v1alpha1",
    kind = "ConnectorRestore",
    doc = "Restores one connector from the bin of Productsup's Connector Development Environment (CDE), at most once. The result is in `status`. A request that succeeded is never repeated.",
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
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "State of the main version, as the CDE reports it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "True if the request succeeded or was skipped"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why the request is in its present state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    printcolumn(name = "ID", type_ = "string", json_path = ".spec.connectorID", priority = "1", description = "UUID of the connector"),
    printcolumn(name = "Attempts", type_ = "integer", json_path = ".status.operation.attempts", priority = "1", description = "Number of attempts"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.operation.nextAttemptTime", priority = "1", description = "Earliest time of the next call"),
    printcolumn(name = "Deadline", type_ = "string", json_path = ".status.deadlineTime", priority = "1", description = "No attempt begins at or after this time"),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.operation.completionTime", priority = "1", description = "Time since the request finished"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.operation.server", priority = "1", description = "Base URL of the CDE API"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1", description = "Message of the condition Ready"),
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorRestoreSpec {
    /// UUID of the connector to restore, in lower case. Immutable.
    #[serde(rename = "connectorID", deserialize_with = "super::connector_id::deserialize")]
    #[schemars(with = "String", length(max = 64))]
    #[x_kube(validation = rules::uuid(), validation = rules::immutable("connectorID"))]
    pub connector_id: Uuid,
    /// No attempt begins at or after this time (RFC 3339, for example 2026-11-30T00:00:00Z). The request then ends as
    /// Expired. An object created more than a day after this time is stale and is skipped without a call, so that a
    /// cluster rebuilt from Git does not repeat old operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 40))]
    #[x_kube(validation = rules::time("notAfter"))]
    pub not_after: Option<Time>,
    /// Maximum age of the request in seconds. No attempt begins later, and the request then ends as DeadlineExceeded.
    /// The age counts from the creation of the object, or from the retry that reopened the request. Suspended time
    /// counts. Defaults to the operator's --deadline (24h unless set).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = rules::LONGEST_DEADLINE))]
    pub deadline_seconds: Option<i64>,
    /// If true, no new attempt begins. An attempt in progress is finished and recorded. The operator reads the
    /// connector once, and the condition Ready says what would happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// The status fields that only a restore has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreResult {
    /// The connector, as the CDE describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<ConnectorSummary>,
    /// The versions of the connector, newest first: at most 10, always including the main version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = RestoredVersion::MAX), extend("x-kubernetes-list-type" = "atomic"))]
    pub versions: Vec<RestoredVersion>,
}

/// A connector, as the CDE describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorSummary {
    /// Name of the connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub name: Option<String>,
    /// Type, for example datasource.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub type_: Option<String>,
    /// Flow, for example default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub flow: Option<String>,
    /// Major number of the main version.
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
    /// State and IDs of the version.
    #[serde(flatten)]
    pub facts: VersionFacts,
}

impl RestoredVersion {
    /// Maximum number of versions in a status.
    pub const MAX: usize = 10;
}
