//! What suspended requests would do, and preconditions from what was seen.

use std::time::Duration;

use cde_operator::api::{ExecutableConditions, Preconditions};
use serde_json::{Value, json};

use super::watch::Watch;
use super::{Kind, Request};
use crate::cli::selection::SelectArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::table::table;

/// The beginning of the operator's message once it has read the connector.
const PREVIEWED: &str = "Suspended. ";
/// The preview of a rollback that would be called.
const WOULD_ROLL_BACK: &str = "Would roll back";

/// Returns the preview of a suspended request; `None` if there is none for its present spec.
pub(crate) fn preview(request: &Request) -> Option<String> {
    let is_observed = request.status.observed_generation == request.metadata().generation;
    let message = request.message();
    Some(message.strip_prefix(PREVIEWED)?.to_owned()).filter(|_| is_observed && !request.is_reopening())
}

/// Waits until each of the requests has a preview or has ended, and returns them as they are then. After `limit`, some may
/// have no preview.
pub(crate) async fn previewed(
    cluster: &Cluster,
    requests: &[&Request],
    limit: Duration,
) -> Result<Vec<Request>, Error> {
    let keys = requests.iter().map(|request| request.key()).collect();
    let mut watch = Watch::start(cluster, &SelectArgs::default(), Some(keys)).await?;
    let waiting = async {
        while watch.requests.values().any(|request| request.is_held() && preview(request).is_none()) {
            watch.change().await?;
        }
        Ok(())
    };
    if let Ok(result) = tokio::time::timeout(limit, waiting).await {
        result?;
    }
    let found = requests.iter().filter_map(|request| watch.requests.get(&request.key()));
    Ok(found.cloned().collect())
}

/// Returns a table of previews.
pub(crate) fn preview_table(requests: &[&Request]) -> String {
    let header = ["NAME", "CONNECTOR", "VERSION", "STATE", "PRODUCTION", "LEGACY", "PREVIEW"];
    let row = |request: &&Request| {
        let result = &request.status.result;
        let version = result.resolved_version.as_ref().and_then(|resolved| resolved.version.clone());
        let ids = result.executables.clone().unwrap_or_default();
        let id = |id: Option<i64>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let preview = match (preview(request), request.is_held()) {
            (Some(preview), _) => preview,
            (None, true) => format!("No preview yet: {}", request.message()),
            (None, false) => format!("{}: {}", request.reason(), request.message()),
        };
        vec![
            request.to_string(),
            request.connector_name().unwrap_or_else(|| request.connector()),
            version.or_else(|| request.version().map(str::to_owned)).unwrap_or_else(|| "-".to_owned()),
            request.status.state.clone().unwrap_or_else(|| "-".to_owned()),
            id(ids.production),
            id(ids.legacy),
            preview,
        ]
    };
    let header = vec![header.map(str::to_owned).to_vec()];
    let rows: Vec<Vec<String>> = header.into_iter().chain(requests.iter().map(row)).collect();
    table(&rows).join("\n") + "\n"
}

/// Returns the change that pins a rollback to the release that its preview shows; `None` if it would not be called.
pub(crate) fn pin(request: &Request) -> Option<Value> {
    let would = preview(request).is_some_and(|preview| preview.starts_with(WOULD_ROLL_BACK));
    if !would || request.kind() != Kind::Rollback {
        return None;
    }
    let ids = request.status.result.executables.clone().unwrap_or_default();
    let executables =
        ExecutableConditions { legacy: ids.legacy, production: ids.production, development: ids.development };
    let has_ids = ids.legacy.or(ids.production).or(ids.development).is_some();
    let pinned =
        Preconditions { state: request.status.state.clone(), executables: has_ids.then_some(executables) };
    (pinned.state.is_some() || has_ids).then(|| json!({"spec": {"preconditions": pinned}}))
}
