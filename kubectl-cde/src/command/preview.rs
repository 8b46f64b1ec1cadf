//! `kubectl cde preview`: what suspended requests would do.

use std::collections::BTreeMap;
use std::process::ExitCode;

use cde_operator::runtime::clock;

use super::create::{managed_by, targets};
use super::print;
use crate::cli::KubernetesArgs;
use crate::cli::request::{PreviewArgs, TargetArgs};
use crate::cli::selection::SelectArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::request::batch::{list_id, mark, say_how_to_start};
use crate::request::create::{Created, create};
use crate::request::manifest::Template;
use crate::request::preview::{preview, preview_table, previewed};
use crate::request::select::select;
use crate::request::{Request, earlier, existing};

pub(super) async fn run(kubernetes: &KubernetesArgs, args: &PreviewArgs) -> Result<ExitCode, Error> {
    let cluster = Cluster::new(kubernetes).await?;
    let requests = if let Some(filename) = &args.filename {
        prepare(&cluster, args, filename).await?
    } else {
        let (names, selector) = (args.names.clone(), args.selector.clone());
        select(&cluster, &SelectArgs { names, selector, ..SelectArgs::default() }).await?
    };
    let suspended: Vec<&Request> = requests.iter().filter(|request| request.is_held()).collect();
    if suspended.is_empty() {
        return Err(Error::NotDone(
            "no request is suspended: see kubectl cde status, or create some with --filename".to_owned(),
        ));
    }
    let requests = previewed(&cluster, &suspended, args.timeout).await?;
    let all: Vec<&Request> = requests.iter().collect();
    let text = args.output.as_ref().map(|format| format.render(&all)).transpose()?.flatten();
    print(text.unwrap_or_else(|| preview_table(&all)))?;
    earlier::warn(&cluster, &all).await;
    if args.filename.is_some() {
        say_how_to_start(&cluster, &all);
    }
    let is_complete = requests.iter().all(|request| preview(request).is_some());
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Creates suspended requests for a list of connectors.
async fn prepare(cluster: &Cluster, args: &PreviewArgs, filename: &str) -> Result<Vec<Request>, Error> {
    let list = TargetArgs { connectors: Vec::new(), filename: Some(filename.to_owned()) };
    let (targets, now) = (targets(&list)?, clock::now());
    let template = Template {
        kind: args.kind,
        version: &args.version,
        not_after: args.not_after,
        suspend: true,
        name: None,
        labels: managed_by(),
        namespace: Some(&cluster.namespace),
        now,
    };
    let mut requests = template.requests(&targets)?;
    let id = list_id(args.kind, &args.version, &targets, now, false);
    mark(&id, &BTreeMap::new(), &mut requests);
    let created = create(cluster, &requests, false).await?;
    // The table shows the others.
    existing::warn(created.iter().filter(|one| !one.request().is_held()));
    Ok(created.into_iter().map(Created::into_request).collect())
}
