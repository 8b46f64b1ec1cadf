//! `MigrationRollback`: make one version of a connector use its old executable again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::crd::rules;
use super::status::{Executables, PlatformConnectors, Status, TEXT, VersionFacts};

/// The version to roll back, and the limits of the request.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cde.productsup.com",
    version = "v1alpha1",
    kind = "MigrationRollback",
    doc = "Rolls back the migration of one version of a connector in Productsup's Connector Development Environment (CDE), at most once: the version uses its old executable again instead of the new one. The result is in `status`. A request that succeeded is never repeated.",
    namespaced,
    status = "Status<RollbackResult>",
    shortname = "mrb",
    category = "cde",
    selectable = ".spec.connectorID",
    selectable = ".status.outcome",
    selectable = ".status.reason",
    validation = rules::outcome_is_kept(),
    validation = rules::attempts_never_go_down(),
    printcolumn(name = "Connector", type_ = "string", json_path = ".status.connector.name", description = "Name of the connector"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version", description = "Requested version"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "State of the version, as the CDE reports it"),
    printcolumn(name = "Legacy", type_ = "integer", json_path = ".status.executables.legacy", description = "ID of the legacy executable"),
    printcolumn(name = "Production", type_ = "integer", json_path = ".status.executables.production", description = "ID of the executable in production"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "True if the request succeeded or was skipped"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why the request is in its present state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    printcolumn(name = "ID", type_ = "string", json_path = ".spec.connectorID", priority = "1", description = "UUID of the connector"),
    printcolumn(name = "Resolved", type_ = "string", json_path = ".status.resolvedVersion.version", priority = "1", description = "Version that spec.version was resolved to"),
    printcolumn(name = "Attempts", type_ = "integer", json_path = ".status.operation.attempts", priority = "1", description = "Number of attempts"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.operation.nextAttemptTime", priority = "1", description = "Earliest time of the next call"),
    printcolumn(name = "Deadline", type_ = "string", json_path = ".status.deadlineTime", priority = "1", description = "No attempt begins at or after this time"),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.operation.completionTime", priority = "1", description = "Time since the request finished"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.operation.server", priority = "1", description = "Base URL of the CDE API"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1", description = "Message of the condition Ready"),
)]
#[serde(rename_all = "camelCase")]
pub struct MigrationRollbackSpec {
    /// UUID of the connector to roll back, in lower case. Immutable.
    #[serde(rename = "connectorID", deserialize_with = "super::connector_id::deserialize")]
    #[schemars(with = "String", length(max = 64))]
    #[x_kube(validation = rules::uuid(), validation = rules::immutable("connectorID"))]
    pub connector_id: Uuid,
    /// Version to roll back: main (the released main version), latest (the highest version that is not deleted), or
    /// a major number as a string ("1" for 1.0.5). It is resolved once, to status.resolvedVersion. Immutable.
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::version(), validation = rules::immutable("version"))]
    pub version: String,
    /// No attempt begins at or after this time (RFC 3339, for example 2026-11-30T00:00:00Z). The request then ends as
    /// Expired. An object created more than a day after this time is stale and is skipped without a call, so that a
    /// cluster rebuilt from Git does not repeat old rollbacks.
    #[schemars(with = "String", length(max = 40))]
    #[x_kube(validation = rules::time("notAfter"))]
    pub not_after: Time,
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
    /// Values that the version must have when it is read before each attempt. If one differs, the request ends as
    /// PreconditionFailed without another call, so a manifest cannot roll back a release that it was not written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconditions: Option<Preconditions>,
}

/// Values that the version must have. Omitted fields are not checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::not_empty("preconditions", &["state", "executables"]))]
pub struct Preconditions {
    /// State of the version, as the CDE reports it, for example synchronized-to-prod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = TEXT))]
    pub state: Option<String>,
    /// Executable IDs that the version must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executables: Option<ExecutableConditions>,
}

/// Executable IDs that the version must have. Omitted fields are not checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::not_empty("executables", &["legacy", "production", "development"]))]
pub struct ExecutableConditions {
    /// ID of the legacy executable, which the version would use again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = rules::LARGEST_ID))]
    pub legacy: Option<i64>,
    /// ID of the executable that runs in production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = rules::LARGEST_ID))]
    pub production: Option<i64>,
    /// ID of the executable that runs in development.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = rules::LARGEST_ID))]
    pub development: Option<i64>,
}

/// The status fields that only a rollback has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackResult {
    /// The connector, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<ConnectorName>,
    /// Version that spec.version was resolved to before the first attempt. Every attempt uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_version: Option<ResolvedVersion>,
    /// Executable IDs as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executables: Option<Executables>,
    /// Platform connector IDs as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_connectors: Option<PlatformConnectors>,
    /// The version as read before the attempt. Later reads are compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<VersionFacts>,
}

/// The connector of a rollback, as the CDE describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectorName {
    /// Name of the connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub name: Option<String>,
}

/// The version to roll back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedVersion {
    /// Major number, which is sent to the CDE API.
    pub major: i64,
    /// Semantic version, for example 1.0.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub version: Option<String>,
}
