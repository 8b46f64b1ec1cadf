//! Leadership: one of several replicas works, the others wait for its Lease.
//!
//! The Lease spares work; safety does not rest on it. It is made, taken, renewed and given back by
//! compare-and-swap, so two never hold it. Losing it ends the process: what it has claimed is verified by the next
//! leader.
//!
//! Clocks of two machines are never compared. A Lease has run out for a replica that has itself seen it unchanged
//! for its length, by the monotonic clock; its holder gives up earlier, by its own. The times in it are for people.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Record, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How long a Lease holds without being renewed.
const LENGTH: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(5);
/// Who could not renew it for so long has lost it: well before anybody else may take it.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Every request of the Lease's client ends by then; a renewal that fails twice is a Lease lost in time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two looks at another's Lease, and between two tries.
///
/// A standby reads the Lease again and again and does not watch it: that needs no right to watch, a half-open
/// connection cannot hide that the Lease is free, and it costs two small reads a second.
const PAUSE: Duration = Duration::from_millis(500);
/// Named in `metadata.managedFields`.
const FIELD_MANAGER: &str = "cde-operator";

/// A Lease that may be held.
#[derive(Debug)]
pub struct Lease {
    api: Api<Record>,
    name: String,
    me: String,
    /// When the last stored write of it began.
    renewed: Instant,
    /// What it looked like in another's hands, and since when.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Lease {
    /// A Lease called `name` in `namespace`, to be held by `me`; it is made when it is first to be taken.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, me: &str) -> Self {
        let (api, renewed) = (Api::namespaced(client, namespace), Instant::now());
        Self { api, name: name.to_owned(), me: me.to_owned(), renewed, seen: None }
    }

    /// Waits until the Lease is held. Meanwhile `stands_by` says whether this replica would take over: at its last look
    /// the Lease was another's.
    pub async fn held(&mut self, stands_by: &AtomicBool) {
        let mut said = String::new();
        loop {
            let looked = self.hold().await;
            let others = matches!(&looked, Ok(false)) || looked.as_ref().is_err_and(is_conflict);
            stands_by.store(others, Ordering::SeqCst);
            match looked {
                Ok(true) => return,
                Ok(false) => said.clear(),
                Err(error) if is_conflict(&error) => tracing::info!("another replica was quicker"),
                Err(error) => {
                    let why = error.to_string();
                    if why != said {
                        tracing::warn!(error = why, "the Lease cannot be taken; trying again");
                        said = why;
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Keeps the Lease; ends when it is lost, or may be because it could not be renewed in time.
    pub async fn lost(&mut self) {
        while let Ok(true) = timeout_at(self.renewed + GIVE_UP, self.renew()).await {}
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn release(&self) {
        let mut given = self.give_back().await;
        // A renewal that was broken off may have been stored in between.
        while given.as_ref().is_err_and(is_conflict) {
            given = self.give_back().await;
        }
        if let Err(error) = given {
            tracing::warn!(%error, "the Lease could not be given back; it ends by itself");
        }
    }

    /// The next renewal, when its time has come, until it is known how it ends; `false` when another holds it.
    async fn renew(&mut self) -> bool {
        sleep_until(self.renewed + RENEWAL).await;
        loop {
            match self.hold().await {
                Ok(ours) => return ours,
                Err(error) => tracing::warn!(%error, "the Lease could not be renewed; trying again"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Makes, takes or renews the Lease, unless it is another's; whether it is ours now.
    async fn hold(&mut self) -> Result<bool, Error> {
        let begun = Instant::now();
        match within(self.api.get_opt(&self.name)).await? {
            None => {
                let record =
                    json!({"metadata": {"name": self.name}, "spec": self.claim(&LeaseSpec::default())});
                let record = serde_json::from_value(record).map_err(Error::SerdeError)?;
                let params =
                    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
                within(self.api.create(&params, &record)).await?;
            }
            Some(record) => {
                let spec = record.spec.clone().unwrap_or_default();
                if !self.is_free(&spec) {
                    return Ok(false);
                }
                self.swap(&record, self.claim(&spec)).await?;
            }
        }
        (self.renewed, self.seen) = (begun, None);
        Ok(true)
    }

    /// Ours already, nobody's, or run out.
    fn is_free(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.me {
            return true;
        }
        let since = match self.seen.take() {
            Some((seen, since)) if seen == *spec => since,
            _ => Instant::now(),
        };
        self.seen = Some((spec.clone(), since));
        let length = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        since.elapsed() >= length.map_or(LENGTH, Duration::from_secs)
    }

    /// The `spec` that makes a Lease ours which has been `before`.
    fn claim(&self, before: &LeaseSpec) -> Value {
        let now = MicroTime(Timestamp::now());
        let mut spec = json!({
            "holderIdentity": self.me,
            "leaseDurationSeconds": LENGTH.as_secs(),
            "renewTime": now,
        });
        if before.holder_identity.as_ref() != Some(&self.me) {
            spec["acquireTime"] = json!(now);
            spec["leaseTransitions"] = json!(before.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        spec
    }

    async fn give_back(&self) -> Result<(), Error> {
        let Some(record) = within(self.api.get_opt(&self.name)).await? else { return Ok(()) };
        let holder = record.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
        if holder != Some(&self.me) {
            return Ok(());
        }
        let nobody = json!({"holderIdentity": null, "acquireTime": null, "renewTime": null});
        self.swap(&record, nobody).await
    }

    /// Merges `spec` into the Lease, if it is still as `record` has it.
    async fn swap(&self, record: &Record, spec: Value) -> Result<(), Error> {
        let change = json!({"metadata": {"resourceVersion": record.metadata.resource_version}, "spec": spec});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within(self.api.patch(&self.name, &params, &Patch::Merge(change))).await.map(drop)
    }
}

/// Bounds a request as a whole, its body too.
async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(Error::Service(elapsed.into())),
    }
}

/// Somebody else has written it meanwhile, or made it.
fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}
