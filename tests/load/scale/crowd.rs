//! Very many requests at once, and their progress.

use std::time::{Duration, Instant};

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ListParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use cde_sandbox::cde::{Fault, Operation};

use cde_harness::{Kind, Manifest, POLL, Request, TestEnv};

/// Without any progress in this time, the requests are stuck.
const STANDSTILL: Duration = Duration::from_mins(1);
/// How many are created at a time.
const AT_ONCE: usize = 16;

/// Requests of alternating kinds, each for a connector of its own, all in one namespace.
pub(crate) struct Crowd {
    pub(crate) requests: Vec<Request>,
}

impl Crowd {
    /// Returns this many requests that would succeed. They are not applied yet.
    pub(crate) fn new(env: &TestEnv, count: usize) -> Self {
        let kinds = [Kind::Rollback, Kind::Restore].into_iter().cycle();
        let none = || Fault::on(Operation::Changing).times(0);
        let request = |(number, kind)| env.request(kind, &format!("{number:05}"), none());
        Self { requests: (0..count).zip(kinds).map(request).collect() }
    }

    /// Creates all of them.
    pub(crate) async fn create(&self, env: &TestEnv) {
        self.create_with(env, |manifest| manifest).await;
    }

    /// Creates all of them, each with a changed manifest.
    pub(crate) async fn create_with(&self, env: &TestEnv, change: impl Fn(Manifest) -> Manifest) {
        let created = stream::iter(&self.requests)
            .map(|request| create(env, request.kind, change(request.manifest()).yaml()));
        created.buffer_unordered(AT_ONCE).try_collect::<()>().await.expect("all are created");
    }

    /// Waits until each has succeeded, as long as there is progress, and returns how long it took.
    pub(crate) async fn all_succeed(&self, env: &TestEnv) -> Duration {
        self.none_matches(env, "status.outcome!=Succeeded").await
    }

    /// Waits until none matches the field selector, as long as their number falls; returns how long it took.
    pub(crate) async fn none_matches(&self, env: &TestEnv, selector: &str) -> Duration {
        let begun = Instant::now();
        let (mut last, mut left) = (Instant::now(), usize::MAX);
        while left > 0 {
            let now = matching::<ConnectorRestore>(env, selector).await
                + matching::<MigrationRollback>(env, selector).await;
            if now < left {
                (last, left) = (Instant::now(), now);
            }
            assert!(last.elapsed() < STANDSTILL, "{left} are open, and none has ended for {STANDSTILL:?}");
            tokio::time::sleep(POLL * 5).await;
        }
        begun.elapsed()
    }

    /// Checks that each had exactly one effect.
    pub(crate) fn check_one_effect_each(&self, env: &TestEnv) {
        let ledger = env.sandbox.ledger();
        let odd: Vec<_> = self.requests.iter().filter(|request| ledger.effects(request.id) != 1).collect();
        assert!(odd.is_empty(), "not one effect: {odd:#?}");
        assert_eq!(ledger.all_effects(), self.requests.len(), "effects in all");
    }
}

async fn create(env: &TestEnv, kind: Kind, manifest: String) -> kube::Result<()> {
    match kind {
        Kind::Restore => create_as::<ConnectorRestore>(env, &manifest).await,
        Kind::Rollback => create_as::<MigrationRollback>(env, &manifest).await,
    }
}

async fn create_as<K>(env: &TestEnv, manifest: &str) -> kube::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Serialize + DeserializeOwned,
    K: std::fmt::Debug,
{
    let object: K = serde_json::from_str(manifest).expect("a manifest of the kind");
    api::<K>(env).create(&PostParams::default(), &object).await.map(|_| ())
}

fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(env: &TestEnv) -> Api<K> {
    Api::namespaced(env.client.clone(), &env.namespace)
}

/// Returns how many match the field selector.
async fn matching<K>(env: &TestEnv, selector: &str) -> usize
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
    K: std::fmt::Debug,
{
    let params = ListParams::default().fields(selector);
    api::<K>(env).list_metadata(&params).await.expect("a list").items.len()
}
