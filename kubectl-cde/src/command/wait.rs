//! `kubectl cde wait`: waits until requests have ended, and says how.
//!
//! The exit code is 0 if all succeeded, 1 if some failed, 2 if some have no result (their outcome is unknown, or they are
//! suspended and nothing else is under way), 3 after the time-out, and 4 after any other error, so that a script can tell
//! them apart. `status` counts those of the codes 1 and 2 among what needs a person, except suspended ones, which wait.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use cde_operator::api::Outcome;

use super::{note, print};
use crate::cli::KubernetesArgs;
use crate::cli::selection::{SelectArgs, WaitArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::request::existing::{names, target};
use crate::request::select::select_some;
use crate::request::watch::{Change, Watch};
use crate::request::{Key, Request};

const FAILED: u8 = 1;
const NO_RESULT: u8 = 2;
const TIMED_OUT: u8 = 3;
const ERROR: u8 = 4;
/// While this command waits, another one may start the next batch when the one before has ended.
const NEXT_BATCH: Duration = Duration::from_secs(5);

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
        let mut has_waited = false;
        say_suspended(watch.requests.values());
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
            let only_suspended = watch.requests.values().all(|one| one.is_held() || one.end().is_some());
            if only_suspended && !(has_waited && is_started_soon(&mut watch).await?) {
                say_left(open.iter().filter_map(|key| watch.requests.get(key)))?;
                worst = worst.max(NO_RESULT);
                return Ok(());
            }
            if !only_suspended {
                has_waited = true;
                changed(&mut watch).await?;
            }
        }
    };
    if let Ok(result) = tokio::time::timeout(args.timeout, following).await {
        return result.map(|()| worst);
    }
    let names: Vec<String> = open.iter().map(|key| format!("{}/{}", key.2, key.1)).collect();
    note(format_args!("error: timed out waiting for {}", names.join(", ")));
    Ok(TIMED_OUT)
}

/// Says which requests do not start by themselves.
fn say_suspended<'a>(requests: impl Iterator<Item = &'a Request>) {
    let held: Vec<&Request> = requests.filter(|request| request.is_held()).collect();
    let do_not_start = match held.len() {
        0 => return,
        1 => "is suspended and does not start by itself",
        _ => "are suspended and do not start by themselves",
    };
    note(format_args!("{} {do_not_start}: kubectl cde resume {}", names(&held), target(&held)));
}

/// Waits until a request changes.
async fn changed(watch: &mut Watch<'_>) -> Result<(), Error> {
    while matches!(watch.change().await?, Change::Nothing) {}
    Ok(())
}

/// Waits a short time for a change, and returns whether there was one.
async fn is_started_soon(watch: &mut Watch<'_>) -> Result<bool, Error> {
    match tokio::time::timeout(NEXT_BATCH, changed(watch)).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// Prints the requests that are left suspended.
fn say_left<'a>(requests: impl Iterator<Item = &'a Request>) -> Result<(), Error> {
    for request in requests {
        print(format_args!("{request} {}: {}\n", request.reason(), request.message()))?;
    }
    Ok(())
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
        Some(Outcome::Unknown) => NO_RESULT,
        Some(Outcome::Succeeded | Outcome::Skipped) | None => 0,
    })
}
