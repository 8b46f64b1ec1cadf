//! Requests, as the API server stores them.
//!
//! - [`targets`]: lists of connectors. [`manifest`]: the requests for them. [`create`]: creates these.
//! - [`existing`], [`earlier`]: what is there before, and what that means for new requests.
//! - [`select`]: finds existing ones. [`watch`]: follows them. [`change`]: changes them.
//! - [`batch`]: starts the requests of a list step by step.
//! - [`preview`]: what suspended ones would do. [`pin`]: limits rollbacks to what was seen.
//! - [`group`]: what a person has to do. [`manager`]: who else applies a request.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod earlier;
pub(crate) mod existing;
pub(crate) mod group;
mod kind;
pub(crate) mod manager;
pub(crate) mod manifest;
pub(crate) mod pin;
pub(crate) mod preview;
pub(crate) mod select;
pub(crate) mod targets;
pub(crate) mod watch;

use cde_operator::api::{
    CONFIRM_ANNOTATION, ConnectorRestoreSpec, MigrationRollbackSpec, Outcome, RETRY_ANNOTATION,
    RollbackResult, Status,
};
use cde_operator::text::clean;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde::Deserialize as _;
use serde_json::Value;

pub(crate) use self::kind::Kind;
use crate::error::Error;

/// Flux removes fields of managers whose names begin with `kubectl`.
pub(crate) const FIELD_MANAGER: &str = "cde-cli";

/// What distinguishes a request from all others: namespace, name and kind.
pub(crate) type Key = (String, String, Kind);

/// The spec of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Spec {
    /// Of a `ConnectorRestore`.
    Restore(ConnectorRestoreSpec),
    /// Of a `MigrationRollback`.
    Rollback(MigrationRollbackSpec),
}

/// A request of either kind.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What was asked.
    pub(crate) spec: Spec,
    /// The status of either kind. The fields that only a rollback has are absent from that of a restore.
    pub(crate) status: Status<RollbackResult>,
    /// The object as it is stored.
    pub(crate) object: DynamicObject,
}

impl Request {
    /// Reads a stored object. Fails if it has a field that this version does not understand.
    pub(crate) fn read(kind: Kind, object: DynamicObject) -> Result<Self, Error> {
        let unreadable = |error: serde_json::Error| {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let why = clean(&error.to_string(), 200);
            Error::Kubernetes(format!("{kind}/{name} cannot be read ({why}): install a newer kubectl cde"))
        };
        let spec = &object.data["spec"];
        let spec = match kind {
            Kind::Restore => ConnectorRestoreSpec::deserialize(spec).map(Spec::Restore),
            Kind::Rollback => MigrationRollbackSpec::deserialize(spec).map(Spec::Rollback),
        }
        .map_err(unreadable)?;
        let status = match &object.data["status"] {
            Value::Null => Status::default(),
            status => Status::deserialize(status).map_err(unreadable)?,
        };
        Ok(Self { spec, status, object })
    }

    /// Returns the kind.
    pub(crate) const fn kind(&self) -> Kind {
        match self.spec {
            Spec::Restore(_) => Kind::Restore,
            Spec::Rollback(_) => Kind::Rollback,
        }
    }

    /// Returns the metadata.
    pub(crate) const fn metadata(&self) -> &ObjectMeta {
        &self.object.metadata
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Returns the namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// Returns the ID of the connector.
    pub(crate) fn connector(&self) -> String {
        match &self.spec {
            Spec::Restore(spec) => spec.connector_id.to_string(),
            Spec::Rollback(spec) => spec.connector_id.to_string(),
        }
    }

    /// Returns the requested version of a rollback.
    pub(crate) fn version(&self) -> Option<&str> {
        match &self.spec {
            Spec::Restore(_) => None,
            Spec::Rollback(spec) => Some(&spec.version),
        }
    }

    /// Whether two requests are for the same version of the same connector.
    pub(crate) fn has_target_of(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && self.connector() == other.connector()
            && self.version() == other.version()
    }

    /// Returns what distinguishes the request from all others.
    pub(crate) fn key(&self) -> Key {
        (self.namespace().to_owned(), self.name().to_owned(), self.kind())
    }

    /// Whether the spec holds the request back.
    pub(crate) fn is_suspended(&self) -> bool {
        match &self.spec {
            Spec::Restore(spec) => spec.suspend,
            Spec::Rollback(spec) => spec.suspend,
        }
        .unwrap_or_default()
    }

    /// Whether the request is open and the spec holds it back.
    pub(crate) fn is_held(&self) -> bool {
        self.is_suspended() && self.end().is_none()
    }

    /// Whether it failed, or its outcome is unknown, and nobody has reopened it.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.end(), Some(Outcome::Failed | Outcome::Unknown))
    }

    /// Notes that the spec no longer holds the request back, from this generation on.
    pub(crate) const fn set_started(&mut self, generation: Option<i64>) {
        self.object.metadata.generation = generation;
        match &mut self.spec {
            Spec::Restore(spec) => spec.suspend = None,
            Spec::Rollback(spec) => spec.suspend = None,
        }
    }

    /// Whether the spec limits the request to a state of the connector.
    pub(crate) const fn has_preconditions(&self) -> bool {
        match &self.spec {
            Spec::Restore(_) => false,
            Spec::Rollback(spec) => spec.preconditions.is_some(),
        }
    }

    /// Returns the end of the window.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        match &self.spec {
            Spec::Restore(spec) => spec.not_after.as_ref().map(|time| time.0),
            Spec::Rollback(spec) => Some(spec.not_after.0),
        }
    }

    /// Returns how the request ended; `None` while it is open, and from a retry or a confirmation until the operator has
    /// handled it.
    pub(crate) fn end(&self) -> Option<Outcome> {
        self.status.outcome.filter(|_| !self.is_reopening())
    }

    /// Returns when the request ended.
    pub(crate) fn completed(&self) -> Option<Timestamp> {
        self.status.operation.as_ref()?.completion_time.as_ref().map(|time| time.0)
    }

    /// Whether the operator has not yet handled a retry or a confirmation of a finished request.
    pub(crate) fn is_reopening(&self) -> bool {
        let annotations = self.metadata().annotations.as_ref();
        let annotation = |key: &str| annotations.and_then(|all| all.get(key));
        let is_open = self.status.outcome.is_none_or(|outcome| !outcome.is_final());
        let handled = self.status.last_handled_retry.as_ref().map(|time| time.0.as_second());
        let asked = annotation(RETRY_ANNOTATION).and_then(|value| value.parse::<Timestamp>().ok());
        let retries = asked.is_some_and(|asked| handled.is_none_or(|handled| asked.as_second() > handled));
        let id = self.status.operation.as_ref().map_or("", |operation| operation.id.as_str());
        let is_unknown = self.status.outcome == Some(Outcome::Unknown);
        let confirms = annotation(CONFIRM_ANNOTATION)
            .is_some_and(|value| is_unknown && !id.is_empty() && value.starts_with(id));
        is_open && (retries || confirms)
    }

    /// Returns the message of the condition Ready.
    pub(crate) fn message(&self) -> String {
        let ready = self.status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let message = ready.map_or("No operator has seen this request yet.", |condition| &condition.message);
        clean(message, 1024)
    }

    /// Returns the name of the connector, as the CDE reported it.
    pub(crate) fn connector_name(&self) -> Option<String> {
        let name = self.status.result.connector.as_ref()?.name.as_ref()?;
        Some(clean(name, 256))
    }

    /// Returns the reason, or a text for a request that no operator has seen.
    pub(crate) fn reason(&self) -> &'static str {
        self.status.reason.map_or("Pending", cde_operator::api::Reason::as_str)
    }
}

/// As kubectl writes an object: `mrb/NAME`.
impl std::fmt::Display for Request {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.kind(), self.name())
    }
}
