//! `kubectl cde wait`: waits until requests have ended, and says how.
//!
//! The exit code is 0 if all succeeded, 1 if some failed, 2 if the outcome of some is unknown and a person must look, 3
//! after the time-out, and 4 after any other error, so that a script can tell them apart.

use std::collections::BTreeSet;
use std::process::ExitCode;

use cde_operator::api::Outcome;

use super::{note, print};
use crate::cli::KubernetesArgs;
use crate::cli::selection::{SelectArgs, WaitArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::request::select::select_some;
use crate::request::watch::{Change, Watch};
use crate::request::{Key, Request};

const FAILED: u8 = 1;
const NEEDS_A_PERSON: u8 = 2;
const TIMED_OUT: u8 = 3;
const ERROR: u8 = 4;

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &WaitArgs) -> ExitCode {
    match wait(kubernetes, args).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            note(format_args!("error: {error}"));
            ExitCode::from(ERROR)
        }
    }
}

async fn wait(kubernetes: &KubernetesArgs, args: &WaitArgs) -> Result<u8, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let requests = select_some(&cluster, &args.select).await?;
    let mut open: BTreeSet<Key> = requests.iter().map(Request::key).collect();
    let scope = SelectArgs { all_namespaces: args.select.all_namespaces, ..SelectArgs::default() };
    let mut worst = 0;
    let following = async {
        let mut watch = Watch::start(&cluster, &scope, Some(open.clone())).await?;
        loop {
            let ended: Vec<Key> = open
                .iter()
                .filter(|key| watch.requests.get(*key).is_none_or(|request| request.end().is_some()))
                .cloned()
                .collect();
            for key in ended {
                worst = worst.max(tell(&key, watch.requests.get(&key))?);
                open.remove(&key);
            }
            if open.is_empty() {
                return Ok(());
            }
            while matches!(watch.change().await?, Change::Nothing) {}
        }
    };
    if let Ok(result) = tokio::time::timeout(args.timeout, following).await {
        return result.map(|()| worst);
    }
    let names: Vec<String> = open.iter().map(|key| format!("{}/{}", key.2, key.1)).collect();
    note(format_args!("error: timed out waiting for {}", names.join(", ")));
    Ok(TIMED_OUT)
}

/// Prints how a request ended, and returns the exit code for it.
fn tell(key: &Key, request: Option<&Request>) -> Result<u8, Error> {
    let Some(request) = request else {
        print(format_args!("{}/{} was deleted\n", key.2, key.1))?;
        return Ok(FAILED);
    };
    print(format_args!("{request} {}: {}\n", request.reason(), request.message()))?;
    Ok(match request.end() {
        Some(Outcome::Failed) => FAILED,
        Some(Outcome::Unknown) => NEEDS_A_PERSON,
        Some(Outcome::Succeeded | Outcome::Skipped) | None => 0,
    })
}
