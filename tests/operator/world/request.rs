//! A request of either kind, for tests in which both fare alike.

use cde_sandbox::cde::{Call, Connector, Fault, Operation, Version, new_id};
use serde_json::Value;
use uuid::Uuid;

use super::{Kind, Manifest, Object, World, restore, rollback};

impl World {
    /// A request that would succeed, were it not for `fault`.
    pub(crate) fn request(&self, kind: Kind, what: &str, fault: Fault) -> Request {
        let request = Request::new(kind, what);
        self.sandbox.put(request.willing());
        self.sandbox.inject(fault.connector(request.id));
        request
    }

    /// Waits until the request has this reason, and checks its status as [`World::reaches`] does.
    pub(crate) async fn comes_to(&self, request: &Request, reason: &str) -> Object {
        self.reaches(request.kind, &request.name, reason).await
    }

    /// Waits until the operator has seen this generation of the request.
    pub(crate) async fn observes(&self, request: &Request, generation: i64) -> Object {
        let observed = |object: &Object| object.status()["observedGeneration"] == generation;
        let object = self.sees(request.kind, &request.name, "observed", observed).await;
        object.assert_contract();
        object
    }

    /// Merges `change` into the object, as a user does.
    pub(crate) async fn patch(&self, request: &Request, change: Value) {
        let (short, change) = (request.kind.short(), change.to_string());
        self.kubectl(&["patch", short, &request.name, "--type=merge", "-p", &change], "").await;
    }

    /// Asks for another attempt.
    pub(crate) async fn annotate_retry(&self, request: &Request, value: &str) {
        let annotation = format!("cde.productsup.com/retry={value}");
        self.kubectl(&["annotate", request.kind.short(), &request.name, &annotation, "--overwrite"], "")
            .await;
    }

    /// The calls that were to change the request's connector.
    pub(crate) fn attempts(&self, request: &Request) -> Vec<Call> {
        self.sandbox.calls(Operation::Changing, request.id)
    }
}

/// A request for a connector of its own.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

impl Request {
    /// A request whose connector the sandbox does not know yet; `what` goes into its name.
    pub(crate) fn new(kind: Kind, what: &str) -> Self {
        Self { kind, name: format!("{}-{what}", kind.short()), id: new_id() }
    }

    /// A connector with which it succeeds.
    pub(crate) fn willing(&self) -> Connector {
        match self.kind {
            Kind::Restore => Connector::in_bin(self.id).version(Version::default()),
            Kind::Rollback => Connector::migrated(self.id),
        }
    }

    pub(crate) fn manifest(&self) -> Manifest {
        match self.kind {
            Kind::Restore => restore(&self.name, self.id),
            Kind::Rollback => rollback(&self.name, self.id, "main"),
        }
    }

    /// The reason of its success.
    pub(crate) fn success(&self) -> &'static str {
        match self.kind {
            Kind::Restore => "Restored",
            Kind::Rollback => "RolledBack",
        }
    }

    /// The evidence of its success where the answer was lost.
    pub(crate) fn observed(&self) -> &'static str {
        match self.kind {
            Kind::Restore => "ObservedLive",
            Kind::Rollback => "ObservedChange",
        }
    }
}
