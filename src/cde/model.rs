//! Requests and responses of the CDE API as plain values.
//!
//! The pure core decides on these values, so this module does no I/O. Source: the pages "Restore Connector from bin", "Rollback migration" and `GET /connectors/{publicId}` of the CDE
//! API reference.

use http::Method;
use jiff::Timestamp;

macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $call:ident { $($value:ident),+ } = $name:literal: $method:ident $template:literal => $answer:ident,
    )*) => {
        /// A changing call: one HTTP request without a body.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Call {
            $(
                $(#[$doc])*
                #[doc = concat!("`", stringify!($method), " ", $template, "` returns a [`", stringify!($answer), "`].")]
                $call {
                    $(
                        #[doc = concat!("The ", stringify!($value), " in the path.")]
                        $value: String,
                    )+
                },
            )*
        }

        impl Call {
            /// The labels of all calls in metrics, including the read.
            pub const NAMES: [&str; ["read", $($name),*].len()] = ["read", $($name),*];

            /// Returns the label in metrics.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$call { .. } => $name,)*
                }
            }

            /// Returns the HTTP request and the type of its response.
            pub(super) fn endpoint(&self) -> Endpoint<'_> {
                match self {
                    $(Self::$call { $($value),+ } => Endpoint {
                        method: Method::$method,
                        template: $template,
                        values: vec![$($value),+],
                        answer: Shape::$answer,
                    },)*
                }
            }
        }
    };
}

// The only list of calls: values in the order of the path, label in metrics, HTTP request, and the `data` of a success.
calls! {
    /// Restores a connector, by its UUID, from the bin.
    RestoreFromBin { connector } = "restore": PATCH "/connectors/{id}/restore-from-bin" => Connector,
    /// Makes a version (`main`, `latest` or a major number: 1.0.5 is `1`) use its old executable again.
    RollBackMigration { connector, version } = "rollback":
        POST "/connectors/{id}/versions/{version}/migration/rollback" => Version,
}

/// The HTTP request of a call.
pub(super) struct Endpoint<'a> {
    pub(super) method: Method,
    /// The path, with placeholders.
    pub(super) template: &'static str,
    /// The values of the placeholders, in their order.
    pub(super) values: Vec<&'a str>,
    pub(super) answer: Shape,
}

/// The type of [`Data`] in a response.
pub(super) enum Shape {
    Connector,
    Version,
}

/// Identifies a call in headers and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId {
    /// The UUID of the operation. Sent as `Idempotency-Key` with changing calls; all attempts share it.
    pub operation: String,
    /// The number of the attempt, from 1. `X-Request-Id` is `<operation>-<attempt>`.
    pub attempt: u32,
}

/// A field of a response. `null` is a statement of the API, a missing field is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not in the response, or not of the documented type.
    #[default]
    Missing,
    /// `null`.
    Null,
    /// Present, and of the documented type.
    Value(T),
}

impl<T> Field<T> {
    /// Returns what the API stated: `None` if the field is missing, `Some(None)` if it is `null`.
    pub fn known(&self) -> Option<Option<&T>> {
        match self {
            Self::Missing => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    /// Returns the value; `None` if the field is missing or `null`.
    pub fn value(&self) -> Option<&T> {
        self.known().flatten()
    }

    /// Returns the value; `None` if the field is missing or `null`.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Missing | Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// Applies `function` to the value; a missing field stays missing, and `null` stays `null`.
    pub fn map<U>(self, function: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Missing => Field::Missing,
            Self::Null => Field::Null,
            Self::Value(value) => Field::Value(function(value)),
        }
    }
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

/// A connector: `data` of a read or of a call for all of it. Holds the fields that a status may show, and the versions.
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
    /// `main-version-number`: the major number that `main` resolves to; `null` if there is no main version.
    pub main_version_number: Field<i64>,
    /// `owner`, a UUID.
    pub owner: Field<String>,
    /// `integrator`, a UUID.
    pub integrator: Field<String>,
    /// `versions`, in the order of the response. An item that is not an object has no fields.
    pub versions: Field<Vec<Version>>,
}

impl Connector {
    /// Returns every text field, including those of the versions.
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

/// One version of a connector: `data` of a call for it alone, or an item of `versions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `version`: semver text, for example `1.0.0`.
    pub version: Field<String>,
    /// `state`: the lifecycle state, an open set: `created`, `updated`, `built`, `synchronized-to-dev`,
    /// `synchronized-to-prod`, `resynchronizing-to-prod`, …
    pub state: Field<String>,
    /// `deleted-at`: an RFC 3339 time while the version is in the bin, otherwise `null`.
    pub deleted_at: Field<String>,
    /// `config.migration.legacy-executable`: the ID of the old executable; `null` if a parent is.
    pub legacy_executable: Field<i64>,
    /// `platform_prod_reference.executable`: the ID of the production executable; `null` if the parent is.
    pub production_executable: Field<i64>,
    /// `platform_prod_reference.platform-connector`: an ID; `null` if the parent is.
    pub production_platform_connector: Field<i64>,
    /// `platform_dev_reference.executable`: the ID of the development executable; `null` if the parent is.
    pub development_executable: Field<i64>,
    /// `platform_dev_reference.platform-connector`: an ID; `null` if the parent is.
    pub development_platform_connector: Field<i64>,
}

impl Version {
    /// Returns every text field.
    pub(super) fn texts_mut(&mut self) -> [&mut Field<String>; 3] {
        [&mut self.version, &mut self.state, &mut self.deleted_at]
    }
}

/// `data` of a 2xx response to a changing call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The connector as it is after the call.
    Connector(Box<Connector>),
    /// The version as it is after the call.
    Version(Box<Version>),
}

/// A readable 2xx response to a changing call: the call had its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T = Data> {
    /// The HTTP status code: 200 as a rule.
    pub code: u16,
    /// The state after the call.
    pub data: T,
    /// The paths of the fields that are missing or not of the documented type, for a warning; for example
    /// `versions[0].platform_prod_reference.executable`. At most 16, then `…` for the others.
    pub missing_fields: Vec<String>,
}

/// Why a call has no readable 2xx response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far the call got.
    pub kind: FailureKind,
    /// One line for people: the API's `message`, or a description of the error. At most 512 characters, without
    /// control characters, tokens, bodies or headers.
    pub message: String,
    /// The earliest time of the next call, if the response names one: the latest of `Retry-After` (seconds or HTTP date),
    /// `X-RateLimit-Retry-After` and `RateLimit-Reset` (Unix time in seconds). A time more than a day ahead is replaced
    /// by an hour after the response.
    pub retry_at: Option<Timestamp>,
}

/// How far a failed call got. This decides whether it may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing was sent: the name did not resolve, or the connection or TLS handshake failed or timed out.
    NotSent,
    /// The timeout expired, or the connection was cut, before the status line arrived.
    NoAnswer,
    /// A status other than 2xx.
    Status {
        /// The HTTP status code.
        code: u16,
        /// The body is a JSON object with a text `message`, as the CDE API sends it. Otherwise a proxy or gateway may
        /// have responded.
        from_api: bool,
    },
    /// A 2xx response whose body is cut, larger than 8 MiB, not JSON, or has no object `data`.
    Unreadable {
        /// The HTTP status code.
        code: u16,
    },
}

impl Failure {
    /// Returns the HTTP status code, if a status line arrived.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self.kind {
            FailureKind::Status { code, .. } | FailureKind::Unreadable { code } => Some(code),
            FailureKind::NotSent | FailureKind::NoAnswer => None,
        }
    }

    /// Returns a short identifier: the status code, `not_sent`, `no_answer` or `unreadable`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_field_is_known_and_a_missing_one_is_not() {
        for (field, known, value, doubled) in [
            (Field::Missing, None, None, Field::Missing),
            (Field::Null, Some(None), None, Field::Null),
            (Field::Value(7), Some(Some(&7)), Some(&7), Field::Value(14)),
        ] {
            assert_eq!((field.known(), field.value()), (known, value));
            assert_eq!(field.clone().map(|value| value * 2), doubled);
        }
    }

    #[test]
    fn every_text_of_a_connector_and_its_versions_is_found() {
        let mut versions = vec![Version::default(); 2];
        assert_eq!(versions[0].texts_mut().len(), 3);
        let mut connector = Connector::default();
        assert_eq!(connector.texts_mut().count(), 6);
        connector.versions = Field::Value(versions);
        for (number, text) in connector.texts_mut().enumerate() {
            *text = Field::Value(number.to_string());
        }
        let texts = format!("{connector:?}");
        assert!((0..12).all(|number| texts.contains(&format!("Value(\"{number}\")"))), "{texts}");
    }

    #[test]
    fn a_failure_has_a_code_and_a_word() {
        for (kind, code, word) in [
            (FailureKind::NotSent, None, "not_sent"),
            (FailureKind::NoAnswer, None, "no_answer"),
            (FailureKind::Status { code: 503, from_api: false }, Some(503), "503"),
            (FailureKind::Unreadable { code: 200 }, Some(200), "unreadable"),
        ] {
            let failure = Failure { kind, message: String::new(), retry_at: None };
            assert_eq!((failure.code(), failure.word().as_str()), (code, word));
        }
    }
}
