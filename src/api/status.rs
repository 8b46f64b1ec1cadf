//! What the operator writes: the same shape for every kind, with the kind's own [result](Status::result).

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most characters of a text that stands in a status.
pub(crate) const TEXT: usize = 256;

/// What came of the request. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status<R> {
    /// The `metadata.generation` that this status answers for; -1 until the operator has seen the object.
    /// Absent in the record of a request that succeeded or was skipped: such a record answers for every
    /// generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions as kstatus reads them: Ready always; Reconciling only while there is work ahead; Stalled only
    /// after a terminal failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The reason of the condition Ready once more, so that lists can be selected by it:
    /// `kubectl get cde -A --field-selector status.reason=OutcomeUnknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    pub reason: Option<Reason>,
    /// Set when the request is finished: Succeeded; Failed (no effect of this request); Unknown (a person must
    /// look); Skipped (nothing was called). Succeeded and Skipped are final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Outcome")]
    pub outcome: Option<Outcome>,
    /// No attempt begins from this time on: the earlier of spec.notAfter and the deadline. Absent once the request
    /// is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_time: Option<Time>,
    /// The CDE's word for the state of the version, for example synchronized-to-dev. For a restore that of the
    /// main version, or of the newest where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = TEXT))]
    pub state: Option<String>,
    /// How the operation went: attempts, waits, times, errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationRecord>,
    /// The newest value of the annotation cde.productsup.com/retry that was acted on; only a later one asks for
    /// something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_retry: Option<Time>,
    /// The kind's own part.
    #[serde(flatten)]
    pub result: R,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $outcome:expr,)*) => {
        /// Why the request stands where it stands: the reason of the condition Ready.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: [Self; [$(Self::$reason),*].len()] = [$(Self::$reason),*];

            /// The word, as it is in conditions, Events and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)*
                }
            }

            /// The outcome that this reason finishes a request with; `None` while there is something ahead.
            #[must_use]
            pub const fn outcome(self) -> Option<Outcome> {
                match self {
                    $(Self::$reason => $outcome,)*
                }
            }
        }
    };
}

// The vocabulary has one place: a reason, what it means, and the outcome that it finishes a request with.
reasons! {
    /// The connector was taken out of the bin.
    Restored => Some(Outcome::Succeeded),
    /// The connector was not in the bin any more: nothing was left to do.
    AlreadyRestored => Some(Outcome::Succeeded),
    /// The connector uses its old executable again.
    RolledBack => Some(Outcome::Succeeded),
    /// The object was created more than a day after its own `notAfter`: history replayed, nothing was called.
    Skipped => Some(Outcome::Skipped),
    /// Another request for the same connector goes first.
    Queued => None,
    /// CDE API calls are on hold: the API is unavailable, limits calls, or rejects the token.
    OnHold => None,
    /// A call is under way.
    InProgress => None,
    /// It is not known whether an attempt had an effect; the connector is read to find out.
    Verifying => None,
    /// Waits before the next attempt.
    Retrying => None,
    /// The CDE API rejects the operator's token; waits for another one.
    TokenRejected => None,
    /// `spec.suspend` is set.
    Suspended => None,
    /// The CDE API says that the operation is not allowed for this connector.
    OperationNotAllowed => Some(Outcome::Failed),
    /// The CDE API says that the operator's token may not do this.
    AccessDenied => Some(Outcome::Failed),
    /// No such connector, or no such version.
    NotFound => Some(Outcome::Failed),
    /// The CDE API refused the call in another way.
    RequestRejected => Some(Outcome::Failed),
    /// The connector is not as `spec.preconditions` say; nothing was called.
    PreconditionFailed => Some(Outcome::Failed),
    /// `spec.notAfter` passed before an attempt succeeded.
    Expired => Some(Outcome::Failed),
    /// `spec.deadlineSeconds`, or the operator's `--deadline`, passed before an attempt succeeded.
    DeadlineExceeded => Some(Outcome::Failed),
    /// A person has confirmed, by annotation, that the request had no effect.
    ConfirmedFailed => Some(Outcome::Failed),
    /// Nobody can tell whether an attempt had an effect; a person must look.
    OutcomeUnknown => Some(Outcome::Unknown),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a finished request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The operation had its effect. Final.
    Succeeded,
    /// No attempt of this request had an effect.
    Failed,
    /// Nobody can tell; a person must look.
    Unknown,
    /// Nothing was called. Final.
    Skipped,
}

impl Outcome {
    /// Whether nothing, not even the retry annotation, opens the request again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }

    /// The word, as it stands in the status and in metrics.
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

/// What a success rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Evidence {
    /// The CDE API answered the call with a success.
    Response,
    /// The answer was lost; the connector was read, and differs from `before` as a rollback makes it differ.
    ObservedChange,
    /// The connector was read and is live.
    ObservedLive,
    /// A person has confirmed it by annotation.
    Confirmed,
}

/// How the operation went: one record a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationRecord {
    /// UUID of the request: the same for all its attempts, another once a retry has opened it again. Sent as the
    /// header Idempotency-Key; X-Request-Id is `<id>-<attempt>`.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Base address of the CDE API that this request belongs to, from the first claim on. An operator with
    /// another address leaves the request alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub server: Option<String>,
    /// When the operator first wrote a status for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// How many attempts were made: each is claimed here before its call goes out.
    #[schemars(range(min = 0))]
    pub attempts: u32,
    /// Waits in a row, reads included: what the backoff counts.
    #[schemars(range(min = 0))]
    pub backoff_step: u32,
    /// When the last attempt was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_time: Option<Time>,
    /// Not before this time does the operator call again. Only while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,
    /// When the present wait started, by the clock of the operator that set it. Only while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_start_time: Option<Time>,
    /// The claim: only while a call may be under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// Attempts of which it is not known whether they had an effect. Only if any.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(min = 0))]
    pub unknown_attempts: u32,
    /// When the request was finished, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// What the success rests on: Response (the API said so), what was observed (the answer was lost, the
    /// connector was read), or Confirmed (a person said so by annotation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Evidence")]
    pub evidence: Option<Evidence>,
    /// The last error, kept after a success. A read that fails while an attempt is being verified does not
    /// replace the error of that attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl OperationRecord {
    /// The terminal response to the last call, which, while the request is open, a read must still confirm.
    #[must_use]
    pub fn refusal(&self) -> Option<Reason> {
        self.last_error.as_ref().and_then(|error| error.reason)
    }

    /// Whether, while the request is open, a read must tell what an earlier attempt did.
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
    /// Who makes the call: the pod's name and a suffix drawn at each start.
    #[schemars(length(max = TEXT))]
    pub holder: String,
    /// Which attempt it is, from 1.
    #[schemars(range(min = 0))]
    pub attempt: u32,
    /// The call is over by then, by the holder's clock.
    pub until: Time,
}

/// An error that a call met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// When it was met.
    pub time: Time,
    /// HTTP status code of the answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub code: Option<u16>,
    /// What the answer means for the request; absent where the error passes by itself. While the request is
    /// open, a read decides whether it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    pub reason: Option<Reason>,
    /// The CDE API's message, or what went wrong on the way.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// Executable IDs of a version; one that is absent is null in the CDE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Executables {
    /// ID of the old executable (`config.migration.legacy-executable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<i64>,
    /// ID of the executable that runs in production (`platform_prod_reference.executable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<i64>,
    /// ID of the executable that runs in development (`platform_dev_reference.executable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<i64>,
}

/// Platform connector IDs of a version; one that is absent is null in the CDE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlatformConnectors {
    /// ID in production (`platform_prod_reference.platform-connector`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<i64>,
    /// ID in development (`platform_dev_reference.platform-connector`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<i64>,
}

/// What is told of a version: the state and IDs that the CDE names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionFacts {
    /// The CDE's word for the state of the version.
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
