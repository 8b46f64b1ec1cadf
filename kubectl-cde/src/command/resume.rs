//! `kubectl cde resume`: starts suspended requests.

use std::process::ExitCode;

use super::suspend::set;
use crate::cli::KubernetesArgs;
use crate::cli::selection::{ResumeArgs, SelectArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::prompt::confirm;
use crate::request::Request;
use crate::request::batch::{self, Plan};
use crate::request::select::select_some;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &ResumeArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let requests = select_some(&cluster, &args.select).await?;
    if let Some(id) = batch_id(&args.select) {
        if let Some(plan) = Plan::stored(id, &requests, args.batch_size, args.max_failures) {
            confirm(&format!("Go on with the batches of {} requests?", requests.len()), args.yes)?;
            return batch::run(&cluster, &plan).await;
        }
        if args.max_failures.is_some() {
            return Err(Error::Usage(
                "--max-failures needs --batch-size: a preview stores no limits".to_owned(),
            ));
        }
    } else if args.batch_size.is_some() || args.max_failures.is_some() {
        return Err(Error::Usage(no_batch(&cluster, &requests)));
    }
    set(&cluster, requests, false, args.yes).await
}

/// Returns why a selection cannot be started in batches.
fn no_batch(cluster: &Cluster, requests: &[Request]) -> String {
    match requests.iter().find_map(batch::id_of) {
        Some(id) => format!(
            "--batch-size and --max-failures are for a whole batch: select it with {}",
            batch::selection(id, &cluster.namespace)
        ),
        None => format!(
            "these requests belong to no batch, so start them without --batch-size and --max-failures. The commands preview \
             -f LIST and rollback -f LIST --batch-size N create a batch and print its ID, which is the label {}",
            batch::LABEL
        ),
    }
}

/// Returns the ID of the list, if the selection is one.
fn batch_id(select: &SelectArgs) -> Option<&str> {
    let (key, id) = select.selector.as_deref()?.split_once('=')?;
    let is_all = select.field_selector.is_none() && select.reasons.is_empty() && !select.all_namespaces;
    (is_all && key == batch::LABEL && !id.contains(',')).then(|| id.trim_start_matches('='))
}
