//! The Event of a request at minimal cost: a struct with new names, of which the response is not decoded.

use anyhow::Result;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{PostParams, Request};
use uuid::Uuid;

use crate::status::Target;

/// Returns the Event about `target`, with everything else as in `like`.
pub(crate) fn about(target: &Target, like: &Event) -> Event {
    let mut event = like.clone();
    event.metadata.name = Some(Uuid::new_v4().to_string());
    event.metadata.namespace = Some(target.namespace.clone());
    let regarding = event.regarding.get_or_insert_default();
    regarding.kind = Some(target.kind.resource().kind);
    regarding.name = Some(target.name.clone());
    regarding.namespace = Some(target.namespace.clone());
    regarding.uid = Some(target.uid.clone());
    event
}

/// Publishes an Event.
///
/// # Errors
/// If the API server rejects it.
pub(crate) async fn publish(client: &Client, event: &Event) -> Result<()> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
    let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let request = Request::new(path).create(&PostParams::default(), serde_json::to_vec(event)?)?;
    client.request_text(request).await?;
    Ok(())
}
