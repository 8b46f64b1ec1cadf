//! Creates rollbacks that hit only the release that a person saw.

use std::time::Duration;

use super::Request;
use super::change::{patch, patch_all, suspend};
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
        match pin(&request) {
            Some(change) => {
                patch(cluster, &request, change).await?;
                pinned.push(request);
            }
            None => note(format_args!("{request} is not pinned and stays suspended: see its preview")),
        }
    }
    if pinned.is_empty() {
        return Err(Error::NotDone("nothing would be rolled back: the requests stay suspended".to_owned()));
    }
    Ok(pinned)
}

/// Starts pinned requests after a yes.
pub(crate) async fn start(cluster: &Cluster, pinned: &[Request], yes: bool) -> Result<(), Error> {
    let question = format!("Start {} pinned to what the table shows?", count(pinned.len()));
    if let Err(error) = confirm(&question, yes) {
        let why = "the requests exist, pinned and suspended: start them with kubectl cde resume";
        return Err(match error {
            Error::NotDone(_) => Error::NotDone(why.to_owned()),
            other => Error::Usage(format!("{other}; {why}")),
        });
    }
    patch_all(cluster, pinned, |_| suspend(false), "started").await
}

fn count(requests: usize) -> String {
    if requests == 1 { "this rollback".to_owned() } else { format!("{requests} rollbacks") }
}
