//! An object as a user reads it: JSON from the API server.

use std::time::Instant;

use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use super::{LIMIT, Manifest, POLL, TestEnv};

/// One of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ConnectorRestore`.
    Restore,
    /// `MigrationRollback`.
    Rollback,
}

impl Kind {
    /// Returns the short name for kubectl.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Restore => "crst",
            Self::Rollback => "mrb",
        }
    }

    fn resource(self) -> ApiResource {
        let (kind, plural) = match self {
            Self::Restore => ("ConnectorRestore", "connectorrestores"),
            Self::Rollback => ("MigrationRollback", "migrationrollbacks"),
        };
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("cde.productsup.com", "v1alpha1", kind),
            plural,
        )
    }
}

impl TestEnv {
    /// Returns the API of a kind in this environment's namespace.
    #[must_use]
    pub fn objects(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    /// Returns the message with which the API server rejects the manifest.
    pub async fn refusal(&self, manifest: &Manifest) -> String {
        let object: DynamicObject = serde_json::from_str(&manifest.yaml()).expect("an object");
        let restore = object.types.as_ref().is_some_and(|types| types.kind == "ConnectorRestore");
        let kind = if restore { Kind::Restore } else { Kind::Rollback };
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        match self.objects(kind).create(&dry_run, &object).await {
            Ok(_) => panic!("the API server accepted it:\n{}", manifest.yaml()),
            Err(refusal) => refusal.to_string(),
        }
    }

    /// Returns the object as it is stored now.
    pub async fn get(&self, kind: Kind, name: &str) -> Object {
        self.objects(kind).get(name).await.unwrap_or_else(|error| panic!("{name}: {error}")).into()
    }

    /// Waits until the object satisfies `condition`, and returns it. `what` completes "NAME is not …".
    pub async fn wait_until(
        &self,
        kind: Kind,
        name: &str,
        what: &str,
        condition: impl Fn(&Object) -> bool,
    ) -> Object {
        let begun = Instant::now();
        loop {
            let object = self.get(kind, name).await;
            if condition(&object) {
                return object;
            }
            assert!(begun.elapsed() < LIMIT, "{name} is not {what} after {LIMIT:?}: {object:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the object has this reason, checks its status against the contract, and returns it.
    pub async fn wait_for_reason(&self, kind: Kind, name: &str, reason: &str) -> Object {
        let object = self.wait_until(kind, name, reason, |object| object.reason() == reason).await;
        object.assert_contract();
        object
    }

    /// Deletes the object without waiting for its finalizers.
    pub async fn delete(&self, kind: Kind, name: &str) {
        let deleted = self.objects(kind).delete(name, &DeleteParams::background()).await;
        deleted.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// An object as it is stored, as JSON.
#[derive(Clone, Debug)]
pub struct Object(pub Value);

impl From<DynamicObject> for Object {
    fn from(object: DynamicObject) -> Self {
        Self(serde_json::to_value(object).expect("an object is JSON"))
    }
}

impl Object {
    /// Returns `status`.
    #[must_use]
    pub fn status(&self) -> &Value {
        &self.0["status"]
    }

    /// Returns `status.operation`.
    #[must_use]
    pub fn operation(&self) -> &Value {
        &self.0["status"]["operation"]
    }

    /// Returns `status.operation.lastError`.
    #[must_use]
    pub fn last_error(&self) -> &Value {
        &self.operation()["lastError"]
    }

    /// Returns `status.reason`; empty before the operator has seen the object.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.status()["reason"].as_str().unwrap_or_default()
    }

    /// Returns `status.operation.attempts`; 0 before the first one.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.operation()["attempts"].as_u64().unwrap_or_default()
    }

    /// Returns `status.outcome`.
    #[must_use]
    pub fn outcome(&self) -> Option<&str> {
        self.status()["outcome"].as_str()
    }

    /// Returns `status.operation.id`, which identifies the request; empty before the operator has seen the object.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.operation()["id"].as_str().unwrap_or_default()
    }

    /// Returns the number of the claimed attempt.
    #[must_use]
    pub fn claimed_attempt(&self) -> Option<u64> {
        self.operation()["inFlight"]["attempt"].as_u64()
    }

    /// Returns the time at this JSON pointer.
    #[must_use]
    pub fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.0.pointer(pointer)?.as_str()?.parse().ok()
    }

    /// Returns the message of the condition Ready.
    #[must_use]
    pub fn message(&self) -> &str {
        self.condition("Ready")["message"].as_str().unwrap_or_default()
    }

    /// Returns the condition of this type, or null.
    #[must_use]
    pub fn condition(&self, type_: &str) -> &Value {
        let conditions = self.status()["conditions"].as_array();
        conditions.into_iter().flatten().find(|one| one["type"] == type_).unwrap_or(&Value::Null)
    }

    /// Returns `metadata`.
    #[must_use]
    pub fn metadata(&self) -> &Value {
        &self.0["metadata"]
    }

    /// Returns `metadata.resourceVersion`, which changes with every write.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.metadata()["resourceVersion"].as_str().expect("a stored object has a version")
    }

    /// Checks everything that the contract requires of a status with this reason: conditions, outcome, times,
    /// generations.
    pub fn assert_contract(&self) {
        let (ready, companion, outcome) = row(self.reason());
        let (status, operation) = (self.status(), self.operation());
        let told: Vec<(&str, &str, &str)> = status["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| (text(&one["type"]), text(&one["status"]), text(&one["reason"])))
            .collect();
        let mut expected = vec![("Ready", ready, self.reason())];
        expected.extend(companion.map(|type_| (type_, "True", self.reason())));
        assert_eq!(told, expected, "the conditions of {self:#?}");
        assert_eq!(status["outcome"], json!(outcome), "the outcome of {self:#?}");
        assert_eq!(operation["completionTime"].is_string(), outcome.is_some(), "completionTime of {self:#?}");
        assert!(operation["id"].is_string() && operation["startTime"].is_string(), "a request: {self:#?}");
        assert_eq!(
            operation["inFlight"].is_object(),
            self.reason() == "InProgress",
            "the claim of {self:#?}"
        );
        assert!(
            outcome.is_none() || operation["nextAttemptTime"].is_null(),
            "a finished request waits: {self:#?}"
        );
        assert!(!self.message().is_empty(), "a message: {self:#?}");
        self.assert_generations(matches!(outcome, Some("Succeeded" | "Skipped")));
    }

    /// A record is valid for every generation and has none. Every other status has the newest generation that was
    /// seen.
    fn assert_generations(&self, record: bool) {
        let observed = &self.status()["observedGeneration"];
        let newest = self.metadata()["generation"].as_i64();
        assert_eq!(observed.is_null(), record, "the observed generation of {self:#?}");
        assert!(
            observed.as_i64() <= newest && observed != &json!(-1),
            "not an observed generation: {self:#?}"
        );
        for condition in self.status()["conditions"].as_array().into_iter().flatten() {
            assert_eq!(&condition["observedGeneration"], observed, "a condition's of {self:#?}");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the row of the contract's table: the condition Ready, the other condition, the outcome.
fn row(reason: &str) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match reason {
        "Restored" | "AlreadyRestored" | "RolledBack" => ("True", None, Some("Succeeded")),
        "Skipped" => ("True", None, Some("Skipped")),
        "Queued" | "OnHold" | "InProgress" | "Verifying" | "Retrying" | "TokenRejected" | "LoginRequired" => {
            ("Unknown", Some("Reconciling"), None)
        }
        "Suspended" => ("Unknown", None, None),
        "OperationNotAllowed"
        | "AccessDenied"
        | "NotFound"
        | "RequestRejected"
        | "PreconditionFailed"
        | "Expired"
        | "DeadlineExceeded"
        | "ConfirmedFailed" => ("False", Some("Stalled"), Some("Failed")),
        "OutcomeUnknown" => ("False", Some("Stalled"), Some("Unknown")),
        other => panic!("{other:?} is not a reason of the contract"),
    }
}
