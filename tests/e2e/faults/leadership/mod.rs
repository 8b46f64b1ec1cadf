//! Several replicas: either one leads and the others stand by, or all of them work and only the claims keep them
//! apart. Rules that must hold in both cases are tested in both.

mod frozen;
mod lease;
mod rollout;
mod takeover;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::runtime::watcher::watch_object;
use tokio::task::JoinHandle;

use cde_harness::{Flags, LIMIT, Operator, POLL, TestEnv};

/// How long a Lease lasts after its last renewal.
pub(crate) const LEASE: Duration = Duration::from_secs(15);

/// How replicas share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One replica leads, by a Lease.
    Elected,
    /// No replica knows of the others.
    Alone,
}

/// Both modes, for tests of rules that must hold in either.
pub(crate) const BOTH: [Mode; 2] = [Mode::Elected, Mode::Alone];

impl Mode {
    /// Returns the flags of a replica in a pod of this name. Its claims last six seconds.
    pub(crate) fn replica(self, pod: &str) -> Flags {
        let flags = Flags::default().with("--timeout", "1s").with("--retry-max", "1s").env("POD_NAME", pod);
        flags.env("CDE_LEADER_ELECTION", if self == Self::Elected { "true" } else { "false" })
    }
}

/// Returns the name of the Lease that an operator waits for.
pub(crate) async fn lease_of(operator: &Operator) -> String {
    let line: serde_json::Value =
        serde_json::from_str(&operator.wait_for_log("waiting for the Lease").await).unwrap();
    line["lease"].as_str().unwrap().to_owned()
}

fn leases(env: &TestEnv) -> Api<Lease> {
    Api::namespaced(env.client.clone(), "cde-operator-system")
}

pub(crate) async fn leads(operator: &Operator) {
    operator.wait_for_log(LEADS).await;
}

const LEADS: &str = "this replica leads";

/// Returns whether it has logged so far that it leads.
pub(crate) fn has_led(operator: &Operator) -> bool {
    operator.log().contains(LEADS)
}

/// One version of the Lease, as the watch reported it.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    at: Instant,
    pub(crate) holder: Option<String>,
}

/// All versions of one Lease since the start of its watch.
pub(crate) struct History {
    versions: Arc<Mutex<Vec<Version>>>,
    watch: JoinHandle<()>,
}

impl History {
    pub(crate) async fn of(env: &TestEnv, operator: &Operator) -> Self {
        let (api, name) = (leases(env), lease_of(operator).await);
        let versions: Arc<Mutex<Vec<Version>>> = Arc::default();
        let told = Arc::clone(&versions);
        let watch = tokio::spawn(async move {
            let mut watch = std::pin::pin!(watch_object(api, &name));
            while let Some(lease) = watch.next().await {
                let Ok(Some(lease)) = lease else { continue };
                let holder = lease.spec.and_then(|spec| spec.holder_identity);
                told.lock().unwrap().push(Version { at: Instant::now(), holder });
            }
        });
        let history = Self { versions, watch };
        history.grows_by(1).await;
        history
    }

    pub(crate) fn versions(&self) -> Vec<Version> {
        self.versions.lock().unwrap().clone()
    }

    /// Waits until the Lease has been written this many more times, by any replica.
    pub(crate) async fn grows_by(&self, count: usize) {
        let (begun, before) = (Instant::now(), self.versions().len());
        while self.versions().len() < before + count {
            assert!(begun.elapsed() < LIMIT, "the Lease is not renewed: {:#?}", self.versions());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a pod of this name holds the Lease.
    pub(crate) async fn is_held_by(&self, pod: &str) -> Version {
        let begun = Instant::now();
        loop {
            let last = self.versions().pop();
            if let Some(last) = last.filter(|last| last.pod().as_deref() == Some(pod)) {
                return last;
            }
            assert!(begun.elapsed() < LIMIT, "{pod} does not hold it: {:#?}", self.versions());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the successive holders: the names of the pods, and "-" for no holder.
    pub(crate) fn holders(&self) -> Vec<String> {
        let mut holders: Vec<String> =
            self.versions().iter().map(|version| version.pod().unwrap_or_else(|| "-".to_owned())).collect();
        holders.dedup();
        holders
    }

    /// Returns how long nobody held the Lease, from its release until it was taken.
    pub(crate) fn vacancy(&self) -> Duration {
        let versions = self.versions();
        let free = versions.iter().position(|version| version.holder.is_none()).expect("it was released");
        let taken = versions[free..].iter().find(|version| version.holder.is_some()).expect("it was taken");
        taken.at.duration_since(versions[free].at)
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Version {
    /// Returns the name of the pod: the holder without the suffix of its process.
    fn pod(&self) -> Option<String> {
        let holder = self.holder.as_deref()?;
        Some(holder.rsplit_once('-').map_or(holder, |(pod, _)| pod).to_owned())
    }
}
