//! Records what the operator writes for a request, and the objects that it leaves.
//!
//! The bare writer and the bare worker replay these writes, so their statuses are as large as the operator's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cde_sandbox::cde::Remote;
use cde_sandbox::control_plane::OPERATOR_NAMESPACE;
use cde_sandbox::proxy::{Call, Proxy};
use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::kind::{Each, Kind};
use crate::stage::{ACCOUNT, Stage};

const NAME: &str = "mould";
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// The writes for one request that succeeds at the first attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    /// The statuses, in order.
    pub(crate) statuses: Each<Vec<Value>>,
    /// The Event about a restore; the one about a rollback is similar.
    pub(crate) event: Event,
}

/// Records what the operator writes.
///
/// # Errors
/// If the operator does not make the expected writes.
pub(crate) async fn record(stage: &Stage) -> Result<Script> {
    let (cde, namespace) = (stage.cde().await?, stage.namespace("script").await?);
    let proxy = Proxy::start(&stage.plane).await?;
    let through = stage.plane.service_account(OPERATOR_NAMESPACE, ACCOUNT, Some(proxy.url())).await?;
    let _operator = stage.operator_as(&through, &cde, &namespace, &["--rate", "0"]).await?;
    for kind in Kind::ALL {
        request(stage, &cde, kind, &namespace).await?;
        reaches(stage, kind, &namespace, "/status/outcome", "Succeeded").await?;
    }
    let begun = Instant::now();
    let event = loop {
        let mut calls = proxy.ledger().into_iter().map(|exchange| exchange.call);
        if let Some(event) = calls.find(is_event) {
            break serde_json::from_value(event.json())?;
        }
        ensure!(begun.elapsed() < LIMIT, "the operator published no Event");
        tokio::time::sleep(POLL).await;
    };
    let statuses = |kind: Kind| -> Vec<Value> {
        let path = format!("/{}/{NAME}/status", kind.plural());
        let calls = proxy.ledger().into_iter().map(|exchange| exchange.call);
        calls.filter(|call| call.path.ends_with(&path)).map(|call| call.json()["status"].clone()).collect()
    };
    let statuses = Each { restore: statuses(Kind::Restore), rollback: statuses(Kind::Rollback) };
    Ok(Script { statuses, event })
}

fn is_event(call: &Call) -> bool {
    call.method == http::Method::POST && call.path.ends_with("/events")
}

/// Creates one new object of each kind and returns them as etcd stores them.
///
/// # Errors
/// If the API server rejects them.
pub(crate) async fn new_objects(stage: &Stage) -> Result<Each<Value>> {
    let namespace = stage.namespace("new").await?;
    for kind in Kind::ALL {
        create(stage, kind, &namespace, Uuid::new_v4()).await?;
    }
    stored(stage, &namespace).await
}

/// Returns one object of each kind as the operator leaves it with the given reason. The caller prepares `cde` so that the
/// requests get there.
///
/// # Errors
/// If an object does not get its reason in time.
pub(crate) async fn objects_with(
    stage: &Stage,
    cde: &Remote,
    flags: &[&str],
    reasons: Each<&str>,
) -> Result<Each<Value>> {
    let namespace = stage.namespace("mould").await?;
    let _operator = stage.operator(cde, &namespace, flags).await?;
    for kind in Kind::ALL {
        request(stage, cde, kind, &namespace).await?;
        reaches(stage, kind, &namespace, "/status/reason", reasons.of(kind)).await?;
    }
    stored(stage, &namespace).await
}

async fn stored(stage: &Stage, namespace: &str) -> Result<Each<Value>> {
    let restore = stage.store.get(Kind::Restore, namespace, NAME).await?;
    Ok(Each { restore, rollback: stage.store.get(Kind::Rollback, namespace, NAME).await? })
}

/// Creates a request for a connector that the CDE knows.
async fn request(stage: &Stage, cde: &Remote, kind: Kind, namespace: &str) -> Result<()> {
    let connector = Uuid::new_v4();
    cde.put(&[kind.willing(connector)]).await?;
    create(stage, kind, namespace, connector).await
}

async fn create(stage: &Stage, kind: Kind, namespace: &str, connector: Uuid) -> Result<()> {
    let object = serde_json::from_value(kind.manifest(NAME, connector))?;
    kind.api(&stage.admin, namespace).create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn reaches(stage: &Stage, kind: Kind, namespace: &str, field: &str, word: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let object = stage.store.get(kind, namespace, NAME).await.context("the template object")?;
        if object.pointer(field).and_then(Value::as_str) == Some(word) {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "{field} does not become {word}: {object:#}");
        tokio::time::sleep(POLL).await;
    }
}
