//! Changes requests.

use cde_operator::api::Outcome;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::create::call;
use super::{FIELD_MANAGER, Request};
use crate::cluster::Cluster;
use crate::command::{note, print};
use crate::error::{Error, has_code};

/// Returns the change that holds a request back, or starts it.
pub(crate) fn suspend(suspend: bool) -> Value {
    json!({"spec": {"suspend": suspend.then_some(true)}})
}

/// Merges `change` into a request, and returns its new generation. If its outcome is unknown, nobody may have changed it
/// since a person looked at it.
pub(crate) async fn patch(
    cluster: &Cluster,
    request: &Request,
    mut change: Value,
) -> Result<Option<i64>, Error> {
    if request.status.outcome == Some(Outcome::Unknown) {
        change["metadata"]["resourceVersion"] = json!(request.metadata().resource_version);
    }
    let field_manager = Some(FIELD_MANAGER.to_owned());
    let params = PatchParams { field_manager, ..PatchParams::default() };
    let api = request.kind().api(cluster, Some(request.namespace()));
    let patched = api.patch_metadata(request.name(), &params, &Patch::Merge(&change)).await;
    match patched {
        Ok(patched) => Ok(patched.metadata.generation),
        Err(error) if has_code(&error, 409) => Err(Error::Kubernetes(format!(
            "{request} has changed since you looked at it: look again, and run the command again"
        ))),
        Err(error) => Err(call(cluster, request.kind(), "patch", request.name()).error(&error)),
    }
}

/// Changes each request and prints `done` after its name. An error says how many were changed before it.
pub(crate) async fn patch_all(
    cluster: &Cluster,
    requests: &[Request],
    change: impl Fn(&Request) -> Value,
    done: &str,
) -> Result<(), Error> {
    for (count, request) in requests.iter().enumerate() {
        match patch(cluster, request, change(request)).await {
            Ok(_) => print(format_args!("{request} {done}\n"))?,
            Err(Error::Kubernetes(why)) if requests.len() > 1 => {
                return Err(Error::Kubernetes(format!(
                    "{why}; {count} of {} requests were {done}",
                    requests.len()
                )));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Splits off the requests that a command leaves alone, and says why.
pub(crate) fn applicable(
    requests: Vec<Request>,
    why_not: impl Fn(&Request) -> Option<String>,
) -> Vec<Request> {
    let applies = |request: &Request| {
        let why = why_not(request);
        if let Some(why) = &why {
            note(format_args!("{request} is left alone: {why}"));
        }
        why.is_none()
    };
    requests.into_iter().filter(applies).collect()
}
