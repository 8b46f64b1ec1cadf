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
use crate::request::batch::{self, Plan};
use crate::request::change::{patch_all, suspend};
use crate::request::create::{Created, create};
use crate::request::manifest::Template;
use crate::request::pin::{ask, pin_all};
use crate::request::targets::{Target, check_version, parse, target};
use crate::request::{Kind, Request};

/// How to pin rollbacks to what was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pin {
    /// How long to wait for the previews.
    pub(super) limit: Duration,
    /// Whether to start without asking.
    pub(super) yes: bool,
}

pub(super) async fn run(
    kubernetes: &KubernetesArgs,
    kind: Kind,
    version: &str,
    pin: Option<Pin>,
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
    let plan = |size| Plan::new(kind, &targets, now, size, args.max_failures, pin.is_some());
    let batch = args.batch_size.map(plan);
    let mut template = Template {
        kind,
        version,
        not_after: args.not_after,
        suspend: args.suspend || pin.is_some() || batch.is_some(),
        name: args.name.as_deref(),
        labels: args.labels.iter().cloned().collect(),
        annotations: batch.as_ref().map(Plan::annotations).unwrap_or_default(),
        namespace: kubernetes.namespace.as_deref(),
        now,
    };
    template.labels.extend(batch.iter().map(|plan| (batch::LABEL.to_owned(), plan.id.clone())));
    if args.output_dir.is_some() || args.dry_run == Some(DryRun::Client) {
        let requests = template.requests(&targets)?;
        match &args.output_dir {
            Some(directory) => write_files(directory, &requests)?,
            None => show(args.output.as_ref().unwrap_or(&Format::Yaml), &requests)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::new(kubernetes).await?;
    template.labels.extend(managed_by());
    template.namespace = Some(&cluster.namespace);
    let requests = template.requests(&targets)?;
    let dry_run = args.dry_run == Some(DryRun::Server);
    let created = create(&cluster, &requests, dry_run).await?;
    report(&created, args, template.suspend, dry_run)?;
    match (pin, batch) {
        (Some(pin), batch) => start_pinned(&cluster, &created, pin, batch.as_ref(), args.suspend).await,
        (None, Some(plan)) if !args.suspend && !dry_run => batch::run(&cluster, &plan).await,
        (None, _) => Ok(ExitCode::SUCCESS),
    }
}

/// Pins what was created and starts it, unless it is to stay suspended. What an earlier run of the same list in batches has
/// created and not started is pinned again, to what is seen now.
async fn start_pinned(
    cluster: &Cluster,
    created: &[Created],
    pin: Pin,
    batch: Option<&Plan>,
    stays_suspended: bool,
) -> Result<ExitCode, Error> {
    let is_open = |one: &&Created| match one {
        Created::New(_) => true,
        Created::Existing(request) => batch.is_some_and(|plan| plan.has(request)) && request.is_held(),
    };
    let open: Vec<&Request> = created.iter().filter(is_open).map(Created::request).collect();
    if open.is_empty() {
        return Err(Error::NotDone(
            "all requests existed already, and none was changed: see kubectl cde status".to_owned(),
        ));
    }
    let pinned = pin_all(cluster, &open, pin.limit).await?;
    let code = if pinned.len() == open.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if stays_suspended {
        return Ok(code);
    }
    if let Some(plan) = batch {
        let how = format!(" in batches of {},", plan.size);
        ask(&pinned, &how, &plan.go_on(cluster), pin.yes)?;
        return batch::run(cluster, plan).await;
    }
    ask(&pinned, "", "kubectl cde resume", pin.yes)?;
    patch_all(cluster, &pinned, |_| suspend(false), "started").await?;
    Ok(code)
}

/// Returns the label of requests that people create with the plugin, so that nobody looks for them in Git.
pub(super) fn managed_by() -> BTreeMap<String, String> {
    [("app.kubernetes.io/managed-by".to_owned(), "kubectl-cde".to_owned())].into()
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

/// Says which requests existed before, and that nothing was done about them.
pub(super) fn warn_of_existing(created: &[Created]) {
    for one in created {
        if let Created::Existing(request) = one {
            note(format_args!(
                "warning: {request} existed already ({}), and nothing was changed: for another request, choose --name",
                request.reason()
            ));
        }
    }
}

fn report(created: &[Created], args: &CreateArgs, suspended: bool, dry_run: bool) -> Result<(), Error> {
    warn_of_existing(created);
    if let Some(format) = &args.output {
        let all: Vec<&Request> = created.iter().map(Created::request).collect();
        return print(format.render(&all)?.unwrap_or_default());
    }
    let suffix = match (dry_run, suspended) {
        (true, _) => " (server dry run)",
        (false, true) => ", suspended",
        (false, false) => "",
    };
    let new = || created.iter().filter(|one| matches!(one, Created::New(_))).map(Created::request);
    if args.batch_size.is_some() {
        return print(format_args!("{} requests created{suffix}\n", new().count()));
    }
    for request in new() {
        print(format_args!("{request} created{suffix}\n"))?;
    }
    Ok(())
}
