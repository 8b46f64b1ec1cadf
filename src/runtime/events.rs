//! Publishes Events in the background. A failure is logged, and repeated Events are not merged.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{PostParams, Request};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::text::{cut_bytes, describe};

/// Maximum number of waiting Events. More are dropped and logged.
const QUEUE: usize = 4096;
/// Events that are published at the same time.
const PARALLEL: usize = 8;
/// Timeout of publishing one Event.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the last Events at shutdown.
pub const DRAIN: Duration = Duration::from_secs(1);

/// `reportingController` of every Event.
const CONTROLLER: &str = "cde.productsup.com/cde-operator";
/// Maximum bytes of `note` (events.k8s.io/v1).
const NOTE: usize = 1024;
/// Maximum bytes of `reportingInstance`.
const INSTANCE: usize = 128;
/// Maximum bytes of the object's name in the name of an Event, which has at most 253 and ends with the time.
const NAME: usize = 220;

/// An Event about an object.
#[derive(Clone, Debug)]
pub struct Event {
    /// The object.
    pub regarding: ObjectReference,
    /// The type: `Warning` rather than `Normal`.
    pub warning: bool,
    /// In CamelCase.
    pub reason: &'static str,
    /// In CamelCase.
    pub action: &'static str,
    /// The message: a sentence or more.
    pub note: String,
    /// When it happened.
    pub at: Timestamp,
}

/// The queue of Events to publish.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Event>);

impl Events {
    /// Returns a queue, and the task that publishes its Events until all handles are dropped.
    pub fn new(client: Client, instance: &str) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let publisher = Publisher { client, instance: cut_bytes(instance, INSTANCE) };
        let publishing = async move {
            let queue = stream::poll_fn(|context| receiver.poll_recv(context));
            queue.for_each_concurrent(PARALLEL, |event| publisher.publish(event)).await;
        };
        (Self(sender), publishing)
    }

    /// Adds an Event to the queue.
    pub fn publish(&self, event: Event) {
        if let Err(error) = self.0.try_send(event) {
            tracing::warn!(%error, "dropping an Event");
        }
    }
}

/// The body of an Event (events.k8s.io/v1).
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
                kind = event.regarding.kind.as_deref(),
                namespace = event.regarding.namespace.as_deref(),
                name = event.regarding.name.as_deref(),
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
        self.client.request_text(request).await.map(drop)
    }
}

/// Returns the name of an Event about `object`, made unique by its time as in client-go.
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
        // Cut right after the dot, which no part of a name may end with.
        let long = format!("{}.{}", "a".repeat(NAME - 4), "b".repeat(32));
        assert_eq!(name(&long, at), format!("{}.0", "a".repeat(NAME - 4)));
        assert!(name(&long, Timestamp::MAX).len() <= 253);
    }
}
