//! Earlier rollbacks of the same connectors.

use cde_operator::api::Outcome;
use kube::api::ListParams;

use super::select::list;
use super::{Kind, Request};
use crate::cluster::Cluster;
use crate::command::note;
use crate::error::Error;
use crate::prompt::confirm;

/// Says which of the requests would roll back a connector again, and returns how many. A request that has succeeded itself
/// is none of them.
pub(crate) async fn warn(cluster: &Cluster, requests: &[&Request]) -> usize {
    if requests.iter().all(|request| request.kind() != Kind::Rollback) {
        return 0;
    }
    let params = ListParams::default().fields(&format!("status.outcome={}", Outcome::Succeeded.as_str()));
    let succeeded = match list(cluster, Some(&cluster.namespace), &params).await {
        Ok(succeeded) => succeeded,
        // Who may only create requests still can.
        Err(error) => {
            note(format_args!(
                "warning: cannot tell whether the connectors were rolled back before: {error}"
            ));
            return 0;
        }
    };
    let succeeded: Vec<&Request> = succeeded.iter().filter(|one| one.kind() == Kind::Rollback).collect();
    let mut count = 0;
    for request in requests.iter().filter(|one| one.kind() == Kind::Rollback) {
        let same = succeeded.iter().filter(|one| one.connector() == request.connector());
        if same.clone().any(|one| one.name() == request.name()) {
            continue;
        }
        let Some(earlier) = same.max_by_key(|one| one.completed()) else { continue };
        let time = earlier.completed().map(|time| format!(" at {time:.0}")).unwrap_or_default();
        note(format_args!(
            "warning: {earlier} rolled back the connector {}{time}: a second rollback may put the new executable back",
            request.connector()
        ));
        count += 1;
    }
    count
}

/// As [`warn`], and asks whether to go on.
pub(crate) async fn ask(cluster: &Cluster, requests: &[&Request], yes: bool) -> Result<(), Error> {
    match warn(cluster, requests).await {
        0 => Ok(()),
        1 => confirm("Roll back this connector again?", yes),
        count => confirm(&format!("Roll back these {count} connectors again?"), yes),
    }
}
