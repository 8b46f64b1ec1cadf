//! `kubectl cde suspend`: holds requests back.

use std::process::ExitCode;

use super::note;
use crate::cli::KubernetesArgs;
use crate::cli::selection::SuspendArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::prompt::confirm;
use crate::request::Request;
use crate::request::change::{applicable, patch_all, suspend};
use crate::request::manager::suspend_note;
use crate::request::select::select_some;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &SuspendArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let requests = select_some(&cluster, &args.select).await?;
    set(&cluster, requests, true, args.yes).await
}

/// Holds open requests back, or starts those that are held back. Leaves the others alone.
pub(super) async fn set(
    cluster: &Cluster,
    requests: Vec<Request>,
    hold: bool,
    yes: bool,
) -> Result<ExitCode, Error> {
    let (verb, already, done) = if hold {
        ("Suspend", "it is suspended", "suspended")
    } else {
        ("Start", "it is not suspended", "resumed")
    };
    let requests = applicable(requests, |request: &Request| match request.end() {
        Some(_) => Some(format!("it has ended ({})", request.reason())),
        None => (request.is_suspended() == hold).then(|| already.to_owned()),
    });
    if requests.len() > 1 {
        confirm(&format!("{verb} {} requests?", requests.len()), yes)?;
    }
    for text in requests.iter().filter_map(suspend_note) {
        note(text);
    }
    patch_all(cluster, &requests, |_| suspend(hold), done).await?;
    Ok(ExitCode::SUCCESS)
}
