//! Events, off the critical path: what cannot be published is logged, and nothing waits for it.
//!
//! Repeats are not merged: whoever hands an Event in says it once, with its own note and time.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{PostParams, Request};
use serde::Serialize;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

use crate::text::{cut_bytes, describe};

/// So many Events may wait to be published; more are dropped, with a line in the log.
const QUEUE: usize = 4096;
/// So many are published at the same time.
const PARALLEL: usize = 8;
/// Publishing one ends by then.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last Events may take when the process stops.
pub const DRAIN: Duration = Duration::from_secs(1);

/// `reportingController` of every Event.
const CONTROLLER: &str = "cde.productsup.com/cde-operator";
/// Most bytes of `note` (events.k8s.io/v1).
const NOTE: usize = 1024;
/// Most bytes of `reportingInstance`.
const INSTANCE: usize = 128;
/// Bytes of the object's name in that of an Event, which has 253 and ends with the time.
const NAME: usize = 220;

/// An Event about an object.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is about.
    pub regarding: ObjectReference,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// In CamelCase.
    pub reason: &'static str,
    /// What was done, in CamelCase.
    pub action: &'static str,
    /// One sentence.
    pub note: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Where Events are handed in.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Event>);

impl Events {
    /// A queue, and the task that publishes what is handed in until all handles are dropped.
    pub fn new(client: Client, instance: &str) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let publisher = Publisher { client, instance: cut_bytes(instance, INSTANCE) };
        let publishing = async move {
            let queue = stream::poll_fn(|context| receiver.poll_recv(context));
            queue.for_each_concurrent(PARALLEL, |event| publisher.publish(event)).await;
        };
        (Self(sender), publishing)
    }

    /// Hands an Event in.
    pub fn publish(&self, event: Event) {
        if let Err(error) = self.0.try_send(event) {
            tracing::warn!(%error, "an Event is lost");
        }
    }
}

/// An Event as it is sent (events.k8s.io/v1).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Published<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    event_time: MicroTime,
    reporting_controller: &'a str,
    reporting_instance: &'a str,
    action: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    reason: &'a str,
    regarding: &'a ObjectReference,
    note: String,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: String,
    namespace: &'a str,
}

struct Publisher {
    client: Client,
    instance: String,
}

impl Publisher {
    async fn publish(&self, event: Event) {
        let created = tokio::time::timeout(TIMEOUT, self.create(&event)).await;
        if let Err(error) = created.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into()))) {
            tracing::warn!(
                object = event.regarding.name.as_deref(),
                error = describe(&error),
                reason = event.reason,
                "an Event could not be published"
            );
        }
    }

    async fn create(
        &self,
        Event { regarding, warning, reason, action, note, at }: &Event,
    ) -> kube::Result<()> {
        let namespace = regarding.namespace.as_deref().unwrap_or_default();
        let published = Published {
            api_version: "events.k8s.io/v1",
            kind: "Event",
            metadata: Metadata { name: name(regarding.name.as_deref().unwrap_or_default(), *at), namespace },
            event_time: MicroTime(*at),
            reporting_controller: CONTROLLER,
            reporting_instance: &self.instance,
            action,
            type_: if *warning { "Warning" } else { "Normal" },
            reason,
            regarding,
            note: cut_bytes(note, NOTE),
        };
        let body = serde_json::to_vec(&published).map_err(kube::Error::SerdeError)?;
        let url = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let request =
            Request::new(url).create(&PostParams::default(), body).map_err(kube::Error::BuildRequest)?;
        self.client.request::<IgnoredAny>(request).await.map(drop)
    }
}

/// The name of an Event about `object`: as client-go makes it, unique by its time.
fn name(object: &str, at: Timestamp) -> String {
    let object = cut_bytes(object, NAME);
    format!("{}.{:x}", object.trim_end_matches(['.', '-', '…']), at.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_name_that_the_api_server_accepts() {
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(name("back", at), "back.0");
        // Cut right behind the dot, which no part of a name may end with.
        let long = format!("{}.{}", "a".repeat(NAME - 4), "b".repeat(32));
        assert_eq!(name(&long, at), format!("{}.0", "a".repeat(NAME - 4)));
        assert!(name(&long, Timestamp::MAX).len() <= 253);
    }
}
