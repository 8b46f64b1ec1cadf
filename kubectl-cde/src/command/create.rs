//! `kubectl cde rollback` and `restore`: create one request per connector.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cde_operator::runtime::clock;
use cde_operator::text::describe;

use super::{note, print};
use crate::cli::KubernetesArgs;
use crate::cli::request::{CreateArgs, DryRun, TargetArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::{Format, yaml};
use crate::request::batch::{self, Plan, list_id, mark, say_how_to_start};
use crate::request::change::{patch_all, suspend};
use crate::request::create::{Created, create};
use crate::request::existing::{self, is_as_asked};
use crate::request::manifest::{MANAGED_BY, Template};
use crate::request::pin::{ask, pin_all};
use crate::request::targets::{Target, check_version, parse, target};
use crate::request::{Kind, Request, earlier};

/// How to start rollbacks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    /// Pins them first, and waits so long for their previews.
    pub(super) pin: Option<Duration>,
    /// Does not ask.
    pub(super) yes: bool,
}

pub(super) async fn run(
    kubernetes: &KubernetesArgs,
    kind: Kind,
    version: &str,
    start: Start,
    args: &CreateArgs,
) -> Result<ExitCode, Error> {
    check_version(version).map_err(|why| Error::Usage(format!("--version: {why}")))?;
    let targets = targets(&args.targets)?;
    if args.name.is_some() && targets.len() > 1 {
        return Err(Error::Usage(
            "--name is for one connector: leave it out, or give a CSV list with names".to_owned(),
        ));
    }
    let now = clock::now();
    let plan = |size| Plan {
        id: list_id(kind, version, &targets, now, start.pin.is_some()),
        size,
        max_failures: args.max_failures,
        pin: start.pin.is_some(),
    };
    let batch = args.batch_size.map(plan);
    let mut template = Template {
        kind,
        version,
        not_after: args.not_after,
        suspend: args.suspend || start.pin.is_some() || batch.is_some(),
        name: args.name.as_deref(),
        labels: args.labels.iter().cloned().collect(),
        namespace: kubernetes.namespace.as_deref(),
        now,
    };
    let requests = |template: &Template<'_>| {
        let mut requests = template.requests(&targets)?;
        if let Some(plan) = &batch {
            mark(&plan.id, &plan.annotations(), &mut requests);
        }
        Ok(requests)
    };
    if args.output_dir.is_some() || args.dry_run == Some(DryRun::Client) {
        let requests = requests(&template)?;
        match &args.output_dir {
            Some(directory) => write_files(directory, &requests)?,
            None => show(args.output.as_ref().unwrap_or(&Format::Yaml), &requests)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::new(kubernetes).await?;
    template.labels.extend(managed_by());
    template.namespace = Some(&cluster.namespace);
    let mut requests = requests(&template)?;
    if args.suspend && requests.len() > 1 && start.pin.is_none() && batch.is_none() {
        mark(&list_id(kind, version, &targets, now, false), &BTreeMap::new(), &mut requests);
    }
    let dry_run = args.dry_run == Some(DryRun::Server);
    earlier::ask(&cluster, &requests.iter().collect::<Vec<_>>(), start.yes || dry_run).await?;
    let created = create(&cluster, &requests, dry_run).await?;
    report(&created, args, batch.as_ref(), dry_run)?;
    if dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    begin(&cluster, &created, start, batch.as_ref(), args.suspend).await
}

/// Starts what was created, unless it is to stay suspended or starts by itself.
async fn begin(
    cluster: &Cluster,
    created: &[Created],
    start: Start,
    batch: Option<&Plan>,
    stays_suspended: bool,
) -> Result<ExitCode, Error> {
    if let Some(limit) = start.pin {
        let start = Pinned { limit, yes: start.yes, batch, stays_suspended };
        return start_pinned(cluster, created, start).await;
    }
    match batch {
        Some(plan) if !stays_suspended && created.iter().any(|one| plan.has(one.request())) => {
            return batch::run(cluster, plan).await;
        }
        Some(_) if !stays_suspended => return Err(nothing_done()),
        _ if !is_done(created, stays_suspended) => return Err(nothing_done()),
        Some(plan) => note(format_args!("start them: {}", plan.go_on(cluster))),
        None if stays_suspended => {
            say_how_to_start(cluster, &created.iter().map(Created::request).collect::<Vec<_>>());
        }
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether something was created, or everything that existed is as it was asked for.
fn is_done(created: &[Created], suspended: bool) -> bool {
    created.iter().any(|one| matches!(one, Created::New(_)))
        || created.iter().all(|one| is_as_asked(one.request(), suspended))
}

fn nothing_done() -> Error {
    Error::NotDone("nothing was created or started, because all requests existed already".to_owned())
}

/// How to start pinned rollbacks.
#[derive(Clone, Copy)]
struct Pinned<'a> {
    limit: Duration,
    yes: bool,
    batch: Option<&'a Plan>,
    stays_suspended: bool,
}

/// Pins what was created and starts it, unless it is to stay suspended. What an earlier run of the same list in batches has
/// created and not started is pinned again, to what is seen now.
async fn start_pinned(
    cluster: &Cluster,
    created: &[Created],
    Pinned { limit, yes, batch, stays_suspended }: Pinned<'_>,
) -> Result<ExitCode, Error> {
    let is_open = |one: &&Created| match one {
        Created::New(_) => true,
        Created::Existing(request) => batch.is_some_and(|plan| plan.has(request)) && request.is_held(),
    };
    let open: Vec<&Request> = created.iter().filter(is_open).map(Created::request).collect();
    if open.is_empty() {
        return Err(nothing_done());
    }
    let pinned = pin_all(cluster, &open, limit).await?;
    let code = if pinned.len() == open.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if stays_suspended {
        return Ok(code);
    }
    if let Some(plan) = batch {
        let how = format!(" in batches of {},", plan.size);
        ask(&pinned, &how, &plan.go_on(cluster), yes)?;
        return batch::run(cluster, plan).await;
    }
    ask(&pinned, "", "kubectl cde resume", yes)?;
    patch_all(cluster, &pinned, |_| suspend(false), "started").await?;
    Ok(code)
}

/// Returns the label of requests that people create with the plugin, so that nobody looks for them in Git.
pub(super) fn managed_by() -> BTreeMap<String, String> {
    [(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())].into()
}

/// Returns the connectors of arguments and list.
pub(super) fn targets(args: &TargetArgs) -> Result<Vec<Target>, Error> {
    let mut all = Vec::new();
    for connector in &args.connectors {
        all.push(target(connector, None, None).map_err(Error::Usage)?);
    }
    if let Some(name) = &args.filename {
        let text = read_file(name)?;
        all.extend(parse(&text).map_err(|why| Error::Usage(format!("{name}: {why}; nothing was created")))?);
    }
    if all.is_empty() {
        return Err(Error::Usage("name a connector, or a list with --filename".to_owned()));
    }
    Ok(all)
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read_file(name: &str) -> Result<String, Error> {
    let mut text = String::new();
    let read = match name {
        "-" => std::io::stdin().lock().read_to_string(&mut text).map(drop),
        _ => fs::read_to_string(name).map(|content| text = content),
    };
    read.map_err(|error| Error::Usage(format!("cannot read {name}: {error}")))?;
    Ok(text)
}

fn write_files(directory: &Path, requests: &[Request]) -> Result<(), Error> {
    let failed = |path: &Path, error: &std::io::Error| {
        Error::Usage(format!("cannot write {}: {}", path.display(), describe(error)))
    };
    let files: Vec<_> = requests
        .iter()
        .map(|request| (directory.join(format!("{}.yaml", request.name())), request))
        .collect();
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(Error::Usage(format!("{} exists, and nothing was written: remove it", path.display())));
    }
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    for (path, request) in &files {
        fs::write(path, yaml(&request.object)?).map_err(|error| failed(path, &error))?;
        print(format_args!("{}\n", path.display()))?;
    }
    Ok(())
}

fn show(format: &Format, requests: &[Request]) -> Result<(), Error> {
    let all: Vec<&Request> = requests.iter().collect();
    match format.render(&all)? {
        Some(text) => print(text),
        None => Err(Error::Usage("write name, yaml, json or jsonpath=TEMPLATE after --output".to_owned())),
    }
}

fn report(created: &[Created], args: &CreateArgs, batch: Option<&Plan>, dry_run: bool) -> Result<(), Error> {
    // The batches start these, too.
    let waits = |one: &&Created| batch.is_some_and(|plan| plan.has(one.request())) && one.request().is_held();
    existing::warn(created.iter().filter(|one| !waits(one)));
    if let Some(format) = &args.output {
        let all: Vec<&Request> = created.iter().map(Created::request).collect();
        return print(format.render(&all)?.unwrap_or_default());
    }
    let new = || created.iter().filter(|one| matches!(one, Created::New(_))).map(Created::request);
    if batch.is_some() {
        let before = created.len() - new().count();
        let before = if before > 0 { format!("; {before} existed already") } else { String::new() };
        return print(format_args!("{} requests created, suspended{before}\n", new().count()));
    }
    for request in new() {
        let suffix = match (dry_run, request.is_suspended()) {
            (true, _) => " (server dry run)",
            (false, true) => ", suspended",
            (false, false) => "",
        };
        print(format_args!("{request} created{suffix}\n"))?;
    }
    if dry_run {
        note("validated only, and nothing was created: for the effect, see kubectl cde preview");
    }
    Ok(())
}
