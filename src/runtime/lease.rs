//! Leader election: one of several replicas works, the others wait for its Lease.
//!
//! The Lease avoids double work; safety does not depend on it. Replicas write it by compare-and-swap, so two never hold it.
//! A replica that loses it exits, and the next leader verifies its claims.
//!
//! The clocks of two machines are never compared. A Lease has expired once a replica has seen it unchanged for its duration,
//! by the monotonic clock. The holder gives up earlier, by its own clock. The timestamps in the Lease are for people.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Record, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::runtime::clock;

/// How long a Lease is valid without a renewal.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews the Lease.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// The holder gives up after this time without a renewal, well before another replica may acquire the Lease.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Timeout of every request. Two renewals can fail before the Lease is lost.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// The wait between two reads or attempts. A standby polls the Lease, because polling needs no permission to watch and is
/// not deceived by a half-open connection. It costs two small reads per second.
const RETRY_PERIOD: Duration = Duration::from_millis(500);
const FIELD_MANAGER: &str = "cde-operator";

/// A Lease that this replica may hold.
#[derive(Debug)]
pub struct Lease {
    api: Api<Record>,
    name: String,
    me: String,
    /// When the last stored write started.
    renewed: Instant,
    /// The Lease of another replica, and since when this one has seen it unchanged.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Lease {
    /// Prepares the Lease `name` in `namespace` for the replica `me`. The first acquisition creates it.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, me: &str) -> Self {
        let (api, renewed) = (Api::namespaced(client, namespace), Instant::now());
        Self { api, name: name.to_owned(), me: me.to_owned(), renewed, seen: None }
    }

    /// Waits until this replica holds the Lease. Meanwhile `stands_by` says whether another replica held it when it was last
    /// read.
    pub async fn acquire(&mut self, stands_by: &AtomicBool) {
        let mut logged = String::new();
        loop {
            let result = self.try_acquire().await;
            let held_by_another = matches!(&result, Ok(false)) || result.as_ref().is_err_and(is_conflict);
            stands_by.store(held_by_another, Ordering::SeqCst);
            match result {
                Ok(true) => return,
                Ok(false) => logged.clear(),
                Err(error) if is_conflict(&error) => {
                    tracing::info!("another replica acquired the Lease first");
                }
                Err(error) => {
                    let why = error.to_string();
                    if why != logged {
                        tracing::warn!(error = why, "the Lease could not be acquired; retrying");
                        logged = why;
                    }
                }
            }
            sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the Lease until it is lost or could not be renewed in time.
    pub async fn lost(&mut self) {
        while let Ok(true) = timeout_at(self.renewed + RENEW_DEADLINE, self.renew()).await {}
    }

    /// Releases the Lease, so that another replica does not have to wait until it expires.
    pub async fn release(&self) {
        let mut released = self.try_release().await;
        // A cancelled renewal may have been stored meanwhile.
        while released.as_ref().is_err_and(is_conflict) {
            released = self.try_release().await;
        }
        if let Err(error) = released {
            tracing::warn!(%error, "the Lease could not be released; it will expire");
        }
    }

    /// Waits for the next renewal and retries it until its result is known; returns `false` if another replica holds it.
    async fn renew(&mut self) -> bool {
        sleep_until(self.renewed + RENEW_INTERVAL).await;
        loop {
            match self.try_acquire().await {
                Ok(ours) => return ours,
                Err(error) => tracing::warn!(%error, "the Lease could not be renewed; retrying"),
            }
            sleep(RETRY_PERIOD).await;
        }
    }

    /// Creates, acquires or renews the Lease, unless another replica holds it; returns whether this one holds it now.
    async fn try_acquire(&mut self) -> Result<bool, Error> {
        let started = Instant::now();
        match with_timeout(self.api.get_opt(&self.name)).await? {
            None => {
                let record =
                    json!({"metadata": {"name": self.name}, "spec": self.held_spec(&LeaseSpec::default())});
                let record = serde_json::from_value(record).map_err(Error::SerdeError)?;
                let params =
                    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
                with_timeout(self.api.create(&params, &record)).await?;
            }
            Some(record) => {
                let spec = record.spec.clone().unwrap_or_default();
                if !self.is_free(&spec) {
                    return Ok(false);
                }
                self.compare_and_swap(&record, self.held_spec(&spec)).await?;
            }
        }
        (self.renewed, self.seen) = (started, None);
        Ok(true)
    }

    /// Whether this replica holds the Lease, or it is released or expired.
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
        let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        since.elapsed() >= duration.map_or(LEASE_DURATION, Duration::from_secs)
    }

    /// Returns the `spec` of a Lease that this replica holds, following `before`.
    fn held_spec(&self, before: &LeaseSpec) -> Value {
        let now = MicroTime(clock::now());
        let mut spec = json!({
            "holderIdentity": self.me,
            "leaseDurationSeconds": LEASE_DURATION.as_secs(),
            "renewTime": now,
        });
        if before.holder_identity.as_ref() != Some(&self.me) {
            spec["acquireTime"] = json!(now);
            spec["leaseTransitions"] = json!(before.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        spec
    }

    async fn try_release(&self) -> Result<(), Error> {
        let Some(record) = with_timeout(self.api.get_opt(&self.name)).await? else { return Ok(()) };
        let holder = record.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
        if holder != Some(&self.me) {
            return Ok(());
        }
        let no_holder = json!({"holderIdentity": null, "acquireTime": null, "renewTime": null});
        self.compare_and_swap(&record, no_holder).await
    }

    /// Merges `spec` into the Lease if it has not changed since `record` was read.
    async fn compare_and_swap(&self, record: &Record, spec: Value) -> Result<(), Error> {
        let change = json!({"metadata": {"resourceVersion": record.metadata.resource_version}, "spec": spec});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        with_timeout(self.api.patch(&self.name, &params, &Patch::Merge(change))).await.map(drop)
    }
}

/// Limits a request as a whole, including its body, to [`REQUEST_TIMEOUT`].
async fn with_timeout<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(Error::Service(elapsed.into())),
    }
}

/// Whether another replica has written or created the Lease meanwhile.
fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}
