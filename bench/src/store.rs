//! Writes objects directly into etcd: tens of thousands in seconds, where the API server would take minutes. The bytes are
//! copies of what the API server stored for a similar object, so it serves them as its own.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cde_operator::api::GROUP;
use cde_sandbox::control_plane::ControlPlane;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kind::Kind;

/// The number of concurrent puts. Each object is put by itself, as the API server does, because a watch may show only
/// some of several objects with the same revision.
const AT_ONCE: usize = 64;

/// etcd, over its JSON gateway.
#[derive(Clone)]
pub(crate) struct Store(reqwest::Client);

impl Store {
    /// Returns a client for the etcd of `plane`.
    ///
    /// # Errors
    /// If the client cannot be built.
    pub(crate) fn of(plane: &ControlPlane) -> Result<Self> {
        let socket = plane.dir().join("etcd.sock");
        Ok(Self(reqwest::Client::builder().no_proxy().unix_socket(socket).build()?))
    }

    /// Returns an object as etcd stores it.
    ///
    /// # Errors
    /// If there is none with this name.
    pub(crate) async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value> {
        let answer =
            self.call("kv/range", &json!({"key": STANDARD.encode(key(kind, namespace, name))})).await?;
        let value = answer["kvs"][0]["value"].as_str().with_context(|| format!("etcd has no {name}"))?;
        Ok(serde_json::from_slice(&STANDARD.decode(value)?)?)
    }

    /// Stores objects under the key of their kind, namespace and name.
    ///
    /// # Errors
    /// If etcd rejects one.
    pub(crate) async fn put(&self, objects: &[(Kind, Value)]) -> Result<()> {
        for objects in objects.chunks(AT_ONCE) {
            let mut puts = JoinSet::new();
            for (kind, object) in objects {
                let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                let key = key(*kind, text("namespace"), text("name"));
                let put = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(object.to_string())});
                let store = self.clone();
                puts.spawn(async move { store.call("kv/put", &put).await });
            }
            while let Some(put) = puts.join_next().await {
                put??;
            }
        }
        Ok(())
    }

    /// Returns the bytes of etcd's database that are in use, without its free pages.
    ///
    /// # Errors
    /// If etcd does not report it.
    pub(crate) async fn database_size(&self) -> Result<u64> {
        let answer = self.call("maintenance/status", &json!({})).await?;
        // The gateway writes 64-bit integers as text.
        let size = answer["dbSizeInUse"].as_str().context("etcd reports no size")?;
        Ok(size.parse()?)
    }

    async fn call(&self, what: &str, body: &Value) -> Result<Value> {
        let request = self.0.post(format!("http://etcd/v3/{what}")).body(body.to_string());
        let answer = request.send().await.context("etcd does not respond")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("etcd rejected the request ({status}): {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }
}

fn key(kind: Kind, namespace: &str, name: &str) -> String {
    format!("/registry/{GROUP}/{}/{namespace}/{name}", kind.plural())
}
