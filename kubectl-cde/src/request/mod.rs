//! Requests, as the API server stores them.
//!
//! - [`targets`]: lists of connectors. [`manifest`]: the requests for them. [`create`]: creates these.

pub(crate) mod create;
mod kind;
pub(crate) mod manifest;
pub(crate) mod targets;

use cde_operator::api::{ConnectorRestoreSpec, MigrationRollbackSpec, Outcome, RollbackResult, Status};
use cde_operator::text::clean;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde::Deserialize as _;
use serde_json::Value;

pub(crate) use self::kind::Kind;
use crate::error::Error;

/// Flux removes fields of managers whose names begin with `kubectl`.
pub(crate) const FIELD_MANAGER: &str = "cde-cli";

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

    /// Returns how the request ended.
    pub(crate) const fn outcome(&self) -> Option<Outcome> {
        self.status.outcome
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
