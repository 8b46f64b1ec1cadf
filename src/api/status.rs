//! The status: the same shape for every kind, with a [result](Status::result) that depends on the kind.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of characters of a text of the CDE in a status.
pub(crate) const TEXT: usize = 256;

/// State and result of the request. Written only by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status<R> {
    /// The metadata.generation that this status reflects, or -1 until the operator has seen the object. Absent after
    /// the request succeeded or was skipped, because such a status is valid for every generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions as kstatus reads them. Ready is always present, Reconciling only while the operator works or waits,
    /// and Stalled only after the request failed or its outcome is unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Reason of the condition Ready, repeated here for field selectors:
    /// `kubectl get cde -A --field-selector status.reason=OutcomeUnknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    pub reason: Option<Reason>,
    /// How the request ended: Succeeded, Failed (no attempt had an effect), Unknown (a person must look) or Skipped
    /// (nothing was called). Absent while the request is open. Succeeded and Skipped are final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Outcome")]
    pub outcome: Option<Outcome>,
    /// No attempt begins at or after this time: the earlier of spec.notAfter and the deadline. Absent once the request
    /// is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_time: Option<Time>,
    /// State of the version, as the CDE reports it, for example synchronized-to-dev. For a restore, the state of the
    /// main version, or of the newest version if there is no main version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub state: Option<String>,
    /// Attempts, waits, times and errors of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationRecord>,
    /// The newest value of the annotation cde.productsup.com/retry that was handled. Only a later value has an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_retry: Option<Time>,
    /// The fields that depend on the kind.
    #[serde(flatten)]
    pub result: R,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $outcome:expr,)*) => {
        /// Why the request is in its present state: the reason of the condition Ready.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: [Self; [$(Self::$reason),*].len()] = [$(Self::$reason),*];

            /// Returns the name in conditions, Events and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)*
                }
            }

            /// Returns the outcome of a request that ends with this reason, or `None` for an open request.
            #[must_use]
            pub const fn outcome(self) -> Option<Outcome> {
                match self {
                    $(Self::$reason => $outcome,)*
                }
            }
        }
    };
}

// The only list of reasons, with their meanings and outcomes.
reasons! {
    /// The connector was restored from the bin.
    Restored => Some(Outcome::Succeeded),
    /// The connector was no longer in the bin, so there was nothing to do.
    AlreadyRestored => Some(Outcome::Succeeded),
    /// The version uses its old executable again.
    RolledBack => Some(Outcome::Succeeded),
    /// The object was created more than a day after its own `notAfter`. It is stale, and nothing was called.
    Skipped => Some(Outcome::Skipped),
    /// Another request for the same connector goes first.
    Queued => None,
    /// CDE API calls are on hold (API unavailable, rate limited, or token rejected).
    OnHold => None,
    /// A call is in progress.
    InProgress => None,
    /// An attempt may have had an effect. The operator reads the connector to find out.
    Verifying => None,
    /// The operator waits before the next attempt.
    Retrying => None,
    /// The CDE API rejects the operator's token. The operator waits for another one.
    TokenRejected => None,
    /// The login for the CDE API has expired or was revoked, or cannot be kept alive. The operator waits for a new one.
    LoginRequired => None,
    /// `spec.suspend` is set.
    Suspended => None,
    /// The CDE API does not allow the operation for this connector.
    OperationNotAllowed => Some(Outcome::Failed),
    /// The CDE API denies the operator's token this operation.
    AccessDenied => Some(Outcome::Failed),
    /// The connector or the version does not exist.
    NotFound => Some(Outcome::Failed),
    /// The CDE API rejected the call for another reason.
    RequestRejected => Some(Outcome::Failed),
    /// The connector does not match `spec.preconditions`, so the call was not made.
    PreconditionFailed => Some(Outcome::Failed),
    /// `spec.notAfter` passed before an attempt succeeded.
    Expired => Some(Outcome::Failed),
    /// `spec.deadlineSeconds`, or the operator's `--deadline`, passed before an attempt succeeded.
    DeadlineExceeded => Some(Outcome::Failed),
    /// A person confirmed by annotation that the request had no effect.
    ConfirmedFailed => Some(Outcome::Failed),
    /// The operator cannot find out whether an attempt had an effect. A person must look.
    OutcomeUnknown => Some(Outcome::Unknown),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a finished request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The operation had its effect. Final.
    Succeeded,
    /// No attempt of this request had an effect.
    Failed,
    /// The operator cannot find out whether an attempt had an effect. A person must look.
    Unknown,
    /// Nothing was called. Final.
    Skipped,
}

impl Outcome {
    /// Whether nothing, not even the retry annotation, can reopen the request.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }

    /// Returns the name in the status and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
            Self::Skipped => "Skipped",
        }
    }
}

/// Evidence of a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Evidence {
    /// The CDE API confirmed the call.
    Response,
    /// The response was lost, and a read shows that the version changed since `before`.
    ObservedChange,
    /// A read shows that the connector is not in the bin.
    ObservedLive,
    /// A person confirmed it by annotation.
    Confirmed,
}

/// The record of one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationRecord {
    /// UUID of the request, the same for all its attempts. A retry that reopens a finished request gives it another
    /// one. Sent as the header Idempotency-Key. X-Request-Id is `<id>-<attempt>`.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Base URL of the CDE API that this request belongs to, set by the first claim. An operator with another base
    /// URL leaves the request alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub server: Option<String>,
    /// When the operator first wrote a status for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// Number of attempts. Each one is counted here before its call is sent.
    #[schemars(range(min = 0))]
    pub attempts: u32,
    /// Number of waits in a row, including those for reads. The backoff grows with it.
    #[schemars(range(min = 0))]
    pub backoff_step: u32,
    /// When the last attempt was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_time: Option<Time>,
    /// Earliest time of the next call. Only while the request waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,
    /// When the present wait started, by the clock of the operator that set it. Only while the request waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_start_time: Option<Time>,
    /// The claim. Only while a call may be in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// Number of attempts that may have had an effect. Absent if zero.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(min = 0))]
    pub unknown_attempts: u32,
    /// When the request finished, with any outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Evidence of the success: Response (the CDE API confirmed it), ObservedChange (the response was lost, and a read
    /// shows that the version changed), ObservedLive (a read shows that the connector is not in the bin) or Confirmed
    /// (a person confirmed it by annotation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Evidence")]
    pub evidence: Option<Evidence>,
    /// The last error. It stays after a success. A failed read during verification does not replace the error of the
    /// attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl OperationRecord {
    /// Returns the refusal of the last call. While the request is open, a read must still confirm it.
    #[must_use]
    pub fn refusal(&self) -> Option<Reason> {
        self.last_error.as_ref().and_then(|error| error.reason)
    }

    /// Whether a read must verify an earlier attempt, while the request is open.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.unknown_attempts > 0 || self.refusal().is_some()
    }

    /// Ends the present wait.
    pub fn end_wait(&mut self) {
        self.wait_start_time = None;
        self.next_attempt_time = None;
    }
}

/// A claim: the right of one process to make one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// Process that makes the call: the name of the Pod and a random suffix for each start.
    #[schemars(length(max = TEXT))]
    pub holder: String,
    /// Number of the attempt, from 1.
    #[schemars(range(min = 0))]
    pub attempt: u32,
    /// When the call is over at the latest, by the holder's clock.
    pub until: Time,
}

/// An error of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// When the error occurred.
    pub time: Time,
    /// HTTP status code of the response, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub code: Option<u16>,
    /// Reason that the request ends with because of this error. Absent for a transient error. While the request is
    /// open, a read must still confirm it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    pub reason: Option<Reason>,
    /// Message of the CDE API, or a description of the error.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// Executable IDs of a version. An absent ID is null in the CDE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Executables {
    /// ID of the legacy executable (`config.migration.legacy-executable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<i64>,
    /// ID of the executable that runs in production (`platform_prod_reference.executable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<i64>,
    /// ID of the executable that runs in development (`platform_dev_reference.executable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<i64>,
}

/// Platform connector IDs of a version. An absent ID is null in the CDE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlatformConnectors {
    /// ID in production (`platform_prod_reference.platform-connector`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<i64>,
    /// ID in development (`platform_dev_reference.platform-connector`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<i64>,
}

/// State and IDs of a version, as the CDE reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionFacts {
    /// State of the version, as the CDE reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub state: Option<String>,
    /// Executable IDs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub executables: Executables,
    /// Platform connector IDs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub platform_connectors: PlatformConnectors,
}
