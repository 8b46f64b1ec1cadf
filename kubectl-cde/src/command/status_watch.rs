//! `kubectl cde status --watch`: the changes as they happen.

use jiff::Timestamp;

use cde_operator::runtime::clock;

use crate::cli::selection::SelectArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::progress::Progress;
use crate::request::Request;
use crate::request::group::{Group, summary};
use crate::request::watch::{Change, Watch};

/// Writes a line per change until the person interrupts. A terminal also shows how much is done.
pub(super) async fn follow(cluster: &Cluster, args: &SelectArgs, shown: &[Request]) -> Result<(), Error> {
    // A request stays in view when it no longer has the reason or the field for which it was selected.
    let is_fixed = args.has_names() || !args.reasons.is_empty() || args.field_selector.is_some();
    let only = is_fixed.then(|| shown.iter().map(Request::key).collect());
    let mut watch = Watch::start(cluster, args, only).await?;
    let progress = Progress::new();
    // What changed between the table and the watch.
    for request in watch.requests.values() {
        let before = shown.iter().find(|one| one.key() == request.key());
        tell(&progress, args, before, request)?;
    }
    loop {
        let done = watch.requests.values().filter(|request| Group::of(request) == Group::Done).count();
        progress.show(done, watch.requests.len(), summary(watch.requests.values()));
        match watch.change().await? {
            Change::Changed { key, before } => {
                if let Some(request) = watch.requests.get(&key) {
                    tell(&progress, args, before.as_deref(), request)?;
                }
            }
            Change::Deleted(request) => {
                progress.line(&format!("{} {request} deleted", time(clock::now())))?;
            }
            Change::Nothing => {}
        }
    }
}

/// Tells a change of the reason.
fn tell(
    progress: &Progress,
    args: &SelectArgs,
    before: Option<&Request>,
    request: &Request,
) -> Result<(), Error> {
    let state = |request: &Request| (request.reason(), request.end().is_some());
    let from = match before {
        Some(before) if state(before) == state(request) => return Ok(()),
        Some(before) => before.reason(),
        None => "new",
    };
    let (now, message) = (time(clock::now()), request.message());
    let namespace = if args.all_namespaces { format!("{} ", request.namespace()) } else { String::new() };
    progress.line(&format!("{now} {namespace}{request} {from} -> {}: {message}", request.reason()))
}

fn time(now: Timestamp) -> impl std::fmt::Display {
    now.strftime("%H:%M:%S")
}
