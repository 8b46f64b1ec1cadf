//! What is said to the CDE API and what it says, as plain values.
//!
//! No I/O and nothing of Kubernetes in here: the operation core decides on these values.
//! Source: the two reference pages "Restore Connector from bin" and "Rollback migration", and the
//! reference of `GET /connectors/{publicId}`.

use jiff::Timestamp;

/// A call that changes something; exactly one HTTP request without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `PATCH /connectors/{movedToBinPublicId}/restore-from-bin`; answers with a [`Connector`].
    RestoreFromBin {
        /// UUID of a connector that is in the bin.
        connector: String,
    },
    /// `POST /connectors/{publicId}/versions/{connectorVersion}/migration/rollback`; answers with a
    /// [`Version`].
    RollBackMigration {
        /// UUID of the connector.
        connector: String,
        /// `main`, `latest` or a major number.
        version: String,
    },
}

/// What identifies one call to the API and to whoever reads its logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId {
    /// Sent as `Idempotency-Key` with a changing call: the same for all attempts of one request.
    pub operation: String,
    /// Sent as `X-Request-Id`: `<operation>-<attempt>`.
    pub attempt: u32,
}

/// A field as it stood in an answer. `null` and missing differ: `null` is a statement, missing is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not in the answer, or of a type that it should not have.
    #[default]
    Missing,
    /// `null`.
    Null,
    /// There, and of the right type.
    Value(T),
}

impl<T> Field<T> {
    /// `None` where the field is missing, else what the API said: `None` for `null`.
    pub fn said(&self) -> Option<Option<&T>> {
        match self {
            Self::Missing => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        self.said().flatten()
    }

    /// Applies `function` to the value, where there is one.
    pub fn map<U>(self, function: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Missing => Field::Missing,
            Self::Null => Field::Null,
            Self::Value(value) => Field::Value(function(value)),
        }
    }
}

/// A connector (`data` of a restore or of a read): the summary that a status may show, and its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connector {
    /// `id`, a UUID.
    pub id: Field<String>,
    /// `type`, for example `datasource`.
    pub r#type: Field<String>,
    /// `name`.
    pub name: Field<String>,
    /// `flow`, for example `default`.
    pub flow: Field<String>,
    /// `main-version-number`: the major that `main` stands for.
    pub main_version_number: Field<i64>,
    /// `owner`, a UUID.
    pub owner: Field<String>,
    /// `integrator`, a UUID.
    pub integrator: Field<String>,
    /// `versions`; missing where it is no list.
    pub versions: Field<Vec<Version>>,
}

impl Connector {
    /// All texts in it.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut Field<String>> {
        let versions = match &mut self.versions {
            Field::Value(versions) => versions.as_mut_slice(),
            Field::Missing | Field::Null => &mut [],
        };
        let own = [
            &mut self.id,
            &mut self.r#type,
            &mut self.name,
            &mut self.flow,
            &mut self.owner,
            &mut self.integrator,
        ];
        own.into_iter().chain(versions.iter_mut().flat_map(Version::texts_mut))
    }
}

/// One version of a connector (`data` of a rollback, an item of `versions`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `version`: semver text, for example `1.0.0`.
    pub version: Field<String>,
    /// `state`: an open set; `created`, `updated`, `built`, `synchronized-to-dev`, `synchronized-to-prod`,
    /// `resynchronizing-to-prod`, …
    pub state: Field<String>,
    /// `deleted-at`: RFC 3339, not null while in the bin.
    pub deleted_at: Field<String>,
    /// `config.migration.legacy-executable`; null where `config` or `config.migration` is.
    pub legacy_executable: Field<i64>,
    /// `platform_prod_reference.executable`; null where the reference is.
    pub production_executable: Field<i64>,
    /// `platform_prod_reference.platform-connector`; null where the reference is.
    pub production_platform_connector: Field<i64>,
    /// `platform_dev_reference.executable`; null where the reference is.
    pub development_executable: Field<i64>,
    /// `platform_dev_reference.platform-connector`; null where the reference is.
    pub development_platform_connector: Field<i64>,
}

impl Version {
    /// All texts in it.
    pub(super) fn texts_mut(&mut self) -> [&mut Field<String>; 3] {
        [&mut self.version, &mut self.state, &mut self.deleted_at]
    }
}

/// `data` of a 2xx answer to a changing call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Of [`Call::RestoreFromBin`].
    Connector(Box<Connector>),
    /// Of [`Call::RollBackMigration`].
    Version(Box<Version>),
}

/// A usable 2xx answer to a changing call: the effect is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the API says came of it.
    pub data: Data,
    /// The paths of the fields that are missing or of another type than documented, for a warning: for
    /// example `platform_prod_reference.executable`. Bounded; a last `…` stands for more.
    pub missing_fields: Vec<String>,
}

/// Why a call brought no usable 2xx answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far the call got.
    pub kind: FailureKind,
    /// One sentence for people: the API's `message`, or what went wrong. At most 512 characters, no
    /// control characters, never a token, a body or a header.
    pub message: String,
    /// Not before this time, where the answer asks for it (`Retry-After` in seconds or as an HTTP date,
    /// `X-RateLimit-Retry-After` and `RateLimit-Reset` as unix time; the latest of them). An absurd one
    /// (more than a day ahead) is an hour from the answer.
    pub retry_at: Option<Timestamp>,
}

/// How far a failed call got, which is what decides whether it may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Cannot connect, name not resolved, TLS refused, the time-out struck before a connection stood:
    /// nothing was sent.
    NotSent,
    /// Time-out, or the connection was cut before the status line.
    NoAnswer,
    /// A status other than 2xx.
    Status {
        /// The HTTP status code.
        code: u16,
        /// The body was a JSON object with a text `message`: the CDE API itself spoke, not something in
        /// between.
        spoken: bool,
    },
    /// 2xx, but the body is cut, too large, not JSON, or has no object `data`.
    Unreadable {
        /// The HTTP status code.
        code: u16,
    },
}

impl Failure {
    /// The HTTP status code, where there was a status line.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self.kind {
            FailureKind::Status { code, .. } | FailureKind::Unreadable { code } => Some(code),
            FailureKind::NotSent | FailureKind::NoAnswer => None,
        }
    }

    /// Which failure it is, as one of few words: a code, or how far the call got without one.
    #[must_use]
    pub fn word(&self) -> String {
        match self.kind {
            FailureKind::NotSent => "not_sent".to_owned(),
            FailureKind::NoAnswer => "no_answer".to_owned(),
            FailureKind::Status { code, .. } => code.to_string(),
            FailureKind::Unreadable { .. } => "unreadable".to_owned(),
        }
    }
}
