//! Events, off the critical path: what cannot be published is logged, and nothing waits for it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event as Note, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

use crate::api::RETRY_ANNOTATION;
use crate::operation::{Announcement, unreadable_retry};

use super::roster::Key;
use super::status_write::{describe, within};
use super::{Managed, Shared};

/// So many Events may wait to be published; more are dropped, with a line in the log.
const QUEUE: usize = 4096;

/// An Event about an object.
#[derive(Clone, Debug)]
pub struct Event {
    regarding: ObjectReference,
    announcement: Announcement,
}

impl Event {
    /// An Event about `object`.
    #[must_use]
    pub fn about<O: Managed>(object: &O, announcement: Announcement) -> Self {
        Self { regarding: object.object_ref(&()), announcement }
    }
}

/// Where Events are handed in.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Event>);

impl Events {
    /// A queue, and the task that publishes what is handed in until all handles are dropped.
    pub fn new(client: Client, instance: &str) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let reporter = Reporter {
            controller: "cde.productsup.com/cde-operator".to_owned(),
            instance: Some(instance.to_owned()),
        };
        (Self(sender), publish(Recorder::new(client, reporter), receiver))
    }

    /// Hands an Event in.
    pub fn publish(&self, event: Event) {
        if let Err(error) = self.0.try_send(event) {
            tracing::warn!(%error, "an Event is lost");
        }
    }
}

async fn publish(recorder: Recorder, mut queue: mpsc::Receiver<Event>) {
    while let Some(Event { regarding, announcement }) = queue.recv().await {
        let note = Note {
            type_: if announcement.warning { EventType::Warning } else { EventType::Normal },
            reason: announcement.reason.to_owned(),
            // A note may have 1,024 bytes at most.
            note: Some(crate::text::cut_bytes(&announcement.note, 1024)),
            action: "Operate".to_owned(),
            secondary: None,
        };
        if let Err(error) = within(recorder.publish(&note, &regarding)).await {
            tracing::warn!(
                object = regarding.name.as_deref(),
                error = describe(&error),
                reason = announcement.reason,
                "an Event could not be published"
            );
        }
    }
}

/// How long the last Events may take when the process stops.
pub const DRAIN: Duration = Duration::from_secs(1);

/// Warns about a retry annotation that is no time, once for each value.
pub(super) fn warn_unreadable_retry<O: Managed>(shared: &Shared, key: &Key, object: &O) {
    let Some(value) = unreadable_retry(object).filter(|value| shared.roster.first_warning(key, value)) else {
        return;
    };
    let note = format!(
        "The annotation {RETRY_ANNOTATION} is no RFC 3339 time: {}. Write for example: kubectl annotate … {RETRY_ANNOTATION}=\"$(date -Is)\" --overwrite",
        crate::text::clean(value, 64)
    );
    let announcement = Announcement { warning: true, reason: "InvalidRetry", note };
    shared.events.publish(Event::about(object, announcement));
}
