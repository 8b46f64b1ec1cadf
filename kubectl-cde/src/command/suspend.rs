//! `kubectl cde suspend`: holds requests back.

use std::process::ExitCode;

use serde_json::json;

use super::note;
use crate::cli::KubernetesArgs;
use crate::cli::selection::SuspendArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::prompt::confirm;
use crate::request::Request;
use crate::request::change::{applicable, patch_all};
use crate::request::manager::suspend_note;
use crate::request::select::select_some;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &SuspendArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let requests = select_some(&cluster, &args.select).await?;
    let requests = applicable(requests, |request: &Request| match request.end() {
        Some(_) => Some(format!("it has ended ({})", request.reason())),
        None => request.is_suspended().then(|| "it is suspended".to_owned()),
    });
    if requests.len() > 1 {
        confirm(&format!("Suspend {} requests?", requests.len()), args.yes)?;
    }
    for text in requests.iter().filter_map(suspend_note) {
        note(text);
    }
    patch_all(&cluster, &requests, |_| json!({"spec": {"suspend": true}}), "suspended").await?;
    Ok(ExitCode::SUCCESS)
}
