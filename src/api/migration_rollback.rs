//! `MigrationRollback`: make one connector use its old executable again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::crd::rules;
use super::status::{Executables, PlatformConnectors, Status, TEXT, VersionFacts};

/// What to roll back, and until when.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cde.productsup.com",
    version = "v1alpha1",
    kind = "MigrationRollback",
    doc = "Rolls the migration of one connector's version back, once: the connector will use its old executable instead of the new one. What came of it stands in `status`; a finished request is never done again.",
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
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version", description = "Version as asked for"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "The CDE's word for the state of the version"),
    printcolumn(name = "Legacy", type_ = "integer", json_path = ".status.executables.legacy", description = "The old executable"),
    printcolumn(name = "Production", type_ = "integer", json_path = ".status.executables.production", description = "The executable in production"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "True when the request succeeded or was skipped"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why the request stands where it stands"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    printcolumn(name = "ID", type_ = "string", json_path = ".spec.connectorID", priority = "1", description = "UUID of the connector"),
    printcolumn(name = "Resolved", type_ = "string", json_path = ".status.resolvedVersion.version", priority = "1", description = "The version that was rolled back"),
    printcolumn(name = "Attempts", type_ = "integer", json_path = ".status.operation.attempts", priority = "1", description = "How many attempts were made"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.operation.nextAttemptTime", priority = "1", description = "Not before this time does the operator call again"),
    printcolumn(name = "Deadline", type_ = "string", json_path = ".status.deadlineTime", priority = "1", description = "No attempt begins from this time on"),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.operation.completionTime", priority = "1", description = "Time since the request was finished"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.operation.server", priority = "1", description = "Base address of the CDE API"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1", description = "What a person should know"),
)]
#[serde(rename_all = "camelCase")]
pub struct MigrationRollbackSpec {
    /// The connector to roll back: a UUID in lower case. Immutable.
    #[serde(rename = "connectorID", deserialize_with = "super::connector_id::deserialize")]
    #[schemars(with = "String", length(max = 64))]
    #[x_kube(validation = rules::uuid(), validation = rules::immutable("connectorID"))]
    pub connector_id: Uuid,
    /// Which version: main (the currently main released one), latest, or a major number as a string (for 1.0.5
    /// "1"). main and latest are resolved once; status.resolvedVersion says to what. Immutable.
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::version(), validation = rules::immutable("version"))]
    pub version: String,
    /// No attempt begins after this time (RFC 3339, for example 2026-11-30T00:00:00Z): the request is Expired.
    /// An object that is created more than a day after it is skipped: nothing is called. A rollback is meant for
    /// now, not for a cluster that is rebuilt from Git next year, so it is required.
    #[schemars(with = "String", length(max = 40))]
    #[x_kube(validation = rules::time("notAfter"))]
    pub not_after: Time,
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
    /// What is given here must match the connector as it is read before each attempt, or nothing is called and
    /// the request is PreconditionFailed: a manifest cannot hit a release that it was not written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconditions: Option<Preconditions>,
}

/// How the version must be found. What is absent is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::not_empty("preconditions", &["state", "executables"]))]
pub struct Preconditions {
    /// The CDE's word for the state of the version, for example synchronized-to-prod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = TEXT))]
    pub state: Option<String>,
    /// The executables that the version must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executables: Option<ExecutableConditions>,
}

/// The executable IDs that the version must have. What is absent is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::not_empty("executables", &["legacy", "production", "development"]))]
pub struct ExecutableConditions {
    /// ID of the old executable: the one that the version would go back to.
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

/// The part of the status that only a rollback has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackResult {
    /// The connector, as it was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<ConnectorName>,
    /// What spec.version stands for: resolved once, before the first attempt, and used by every attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_version: Option<ResolvedVersion>,
    /// Executable IDs as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executables: Option<Executables>,
    /// Platform connector IDs as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_connectors: Option<PlatformConnectors>,
    /// The version as it was read before the attempt; what a later read is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<VersionFacts>,
}

/// The connector of a rollback, as the CDE names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectorName {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub name: Option<String>,
}

/// The version that is rolled back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedVersion {
    /// Its major number, which is what is sent to the CDE API.
    pub major: i64,
    /// Its semantic version, for example 1.0.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub version: Option<String>,
}
