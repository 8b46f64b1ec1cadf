//! Creates rollbacks that hit only the release that a person saw.

use std::time::Duration;

use serde_json::json;

use super::Request;
use super::change::patch;
use super::preview::{pin, preview_table, previewed};
use crate::cluster::Cluster;
use crate::command::{note, print};
use crate::error::Error;
use crate::prompt::confirm;

/// Shows what the suspended requests would do, and writes preconditions from it. The requests that would be called are
/// pinned before anybody is asked, so a later `resume` is pinned, too. Returns them.
pub(crate) async fn pin_all(
    cluster: &Cluster,
    requests: &[&Request],
    limit: Duration,
) -> Result<Vec<Request>, Error> {
    let requests = previewed(cluster, requests, limit).await?;
    print(preview_table(&requests.iter().collect::<Vec<_>>()))?;
    let mut pinned = Vec::new();
    for request in requests {
        if let Some(change) = pin(&request) {
            patch(cluster, &request, change).await?;
            pinned.push(request);
            continue;
        }
        if request.has_preconditions() {
            // Of an earlier run. The table shows something else.
            patch(cluster, &request, json!({"spec": {"preconditions": null}})).await?;
        }
        note(format_args!("{request} is not pinned and stays suspended: see its preview"));
    }
    if pinned.is_empty() {
        return Err(Error::NotDone("nothing would be rolled back: the requests stay suspended".to_owned()));
    }
    Ok(pinned)
}

/// Asks whether pinned requests are to start. `how` they start follows their number in the question, and `later` is the
/// command that starts them after a no.
pub(crate) fn ask(pinned: &[Request], how: &str, later: &str, yes: bool) -> Result<(), Error> {
    let question = match pinned.len() {
        1 => format!("Start this rollback{how} pinned to what the table shows?"),
        many => format!("Start {many} rollbacks{how} pinned to what the table shows?"),
    };
    let why = format!("the requests exist, pinned and suspended: start them with {later}");
    confirm(&question, yes).map_err(|error| match error {
        Error::NotDone(_) => Error::NotDone(why),
        other => Error::Usage(format!("{other}; {why}")),
    })
}
