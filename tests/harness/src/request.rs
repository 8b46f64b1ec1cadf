//! A request of either kind, for tests in which both kinds behave alike.

use cde_sandbox::cde::{Call, Connector, Fault, Operation, Version, new_id};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Kind, Manifest, Object, TestEnv, restore, rollback};

impl TestEnv {
    /// Returns a request that succeeds except for `fault`, with its connector in the sandbox.
    #[must_use]
    pub fn request(&self, kind: Kind, what: &str, fault: Fault) -> Request {
        let request = Request::new(kind, what);
        self.sandbox.put(request.ready_connector());
        self.sandbox.inject(fault.connector(request.id));
        request
    }

    /// Waits until the request has this reason, and checks its status as [`TestEnv::wait_for_reason`] does.
    pub async fn wait_for(&self, request: &Request, reason: &str) -> Object {
        self.wait_for_reason(request.kind, &request.name, reason).await
    }

    /// Waits until the request has an outcome, whatever it is.
    pub async fn wait_until_finished(&self, request: &Request) {
        let finished = |object: &Object| object.outcome().is_some();
        self.wait_until(request.kind, &request.name, "finished", finished).await;
    }

    /// Returns the `metadata.uid` of the request's object.
    pub async fn uid(&self, request: &Request) -> Value {
        self.get(request.kind, &request.name).await.metadata()["uid"].clone()
    }

    /// Waits until the operator has seen this generation of the request.
    pub async fn wait_for_generation(&self, request: &Request, generation: i64) -> Object {
        let observed = |object: &Object| object.status()["observedGeneration"] == generation;
        let object = self.wait_until(request.kind, &request.name, "observed", observed).await;
        object.assert_contract();
        object
    }

    /// Merges `change` into the object, as `kubectl patch --type=merge` does.
    pub async fn patch(&self, request: &Request, change: Value) {
        let merge = Patch::Merge(change);
        let patched = self.objects(request.kind).patch(&request.name, &PatchParams::default(), &merge).await;
        patched.unwrap_or_else(|error| panic!("{}: {error}", request.name));
    }

    /// Requests a retry, as `kubectl annotate --overwrite` does.
    pub async fn annotate_retry(&self, request: &Request, value: &str) {
        self.patch(request, json!({"metadata": {"annotations": {"cde.productsup.com/retry": value}}})).await;
    }

    /// Returns the changing calls for the request's connector.
    #[must_use]
    pub fn attempts(&self, request: &Request) -> Vec<Call> {
        self.sandbox.calls(Operation::Changing, request.id)
    }
}

/// A request for a connector of its own.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its kind.
    pub kind: Kind,
    /// The name of its object.
    pub name: String,
    /// The ID of its connector.
    pub id: Uuid,
}

impl Request {
    /// Returns a request whose connector the sandbox does not know yet. `what` becomes part of its name.
    #[must_use]
    pub fn new(kind: Kind, what: &str) -> Self {
        Self { kind, name: format!("{}-{what}", kind.short()), id: new_id() }
    }

    /// Returns a connector with which the request succeeds.
    #[must_use]
    pub fn ready_connector(&self) -> Connector {
        match self.kind {
            Kind::Restore => Connector::in_bin(self.id).version(Version::default()),
            Kind::Rollback => Connector::migrated(self.id),
        }
    }

    /// Returns its manifest.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        match self.kind {
            Kind::Restore => restore(&self.name, self.id),
            Kind::Rollback => rollback(&self.name, self.id, "main"),
        }
    }

    /// Returns the reason of its success.
    #[must_use]
    pub fn success(&self) -> &'static str {
        match self.kind {
            Kind::Restore => "Restored",
            Kind::Rollback => "RolledBack",
        }
    }

    /// Returns the evidence of its success if the response was lost.
    #[must_use]
    pub fn observed(&self) -> &'static str {
        match self.kind {
            Kind::Restore => "ObservedLive",
            Kind::Rollback => "ObservedChange",
        }
    }
}
