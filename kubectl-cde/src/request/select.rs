//! Finds the requests that a person means.

use kube::api::{DynamicObject, ListParams};
use uuid::Uuid;

use super::create::call;
use super::targets::lines;
use super::{Kind, Request};
use crate::cli::selection::SelectArgs;
use crate::cluster::Cluster;
use crate::command::{note, read_file};
use crate::error::Error;

impl SelectArgs {
    /// Whether nothing narrows the selection.
    pub(crate) fn is_everything(&self) -> bool {
        !self.has_names()
            && self.selector.is_none()
            && self.field_selector.is_none()
            && self.reasons.is_empty()
    }

    /// Whether the selection names single requests.
    pub(crate) const fn has_names(&self) -> bool {
        !self.names.is_empty() || self.filename.is_some()
    }

    /// Refuses a command that would change every request by accident.
    pub(crate) fn check_narrow(&self) -> Result<(), Error> {
        if self.is_everything() {
            return Err(Error::Usage(
                "name the requests, or select them with --selector, --field-selector, --reason or --filename"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Returns the parameters of a list.
    pub(crate) fn list_params(&self) -> ListParams {
        let params = ListParams {
            label_selector: self.selector.clone(),
            field_selector: self.field_selector.clone(),
            ..ListParams::default()
        };
        match (&self.reasons[..], &self.field_selector) {
            ([reason], None) => params.fields(&format!("status.reason={reason}")),
            _ => params,
        }
    }

    /// Whether the request has one of the reasons, where any were given.
    pub(crate) fn has_reason_of(&self, request: &Request) -> bool {
        self.reasons.is_empty() || self.reasons.iter().any(|reason| reason == request.reason())
    }
}

/// Returns the selected requests, in the order of their names. A name that does not exist is an error.
pub(crate) async fn select(cluster: &Cluster, args: &SelectArgs) -> Result<Vec<Request>, Error> {
    let mut requests = if args.has_names() {
        let mut requests = Vec::new();
        for name in &args.names {
            requests.extend(named(cluster, name).await?);
        }
        if let Some(file) = &args.filename {
            requests.extend(listed(cluster, file).await?);
        }
        requests
    } else {
        let namespace = (!args.all_namespaces).then_some(cluster.namespace.as_str());
        list(cluster, namespace, &args.list_params()).await?
    };
    requests.retain(|request| args.has_reason_of(request));
    requests.sort_by_key(Request::key);
    requests.dedup_by(|a, b| a.key() == b.key());
    Ok(requests)
}

/// As [`select`], where nothing found is an error.
pub(crate) async fn select_some(cluster: &Cluster, args: &SelectArgs) -> Result<Vec<Request>, Error> {
    args.check_narrow()?;
    let requests = select(cluster, args).await?;
    if requests.is_empty() {
        let place = if args.all_namespaces { "any namespace" } else { &cluster.namespace };
        return Err(Error::Usage(format!("no request in {place} matches: see --namespace and --selector")));
    }
    Ok(requests)
}

/// Returns the one request with this name.
pub(crate) async fn select_one(cluster: &Cluster, name: &str) -> Result<Request, Error> {
    let mut found = named(cluster, name).await?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            let names: Vec<String> = found.iter().chain(&last).map(Request::to_string).collect();
            Err(Error::Usage(format!("{name} has several requests: choose one of {}", names.join(", "))))
        }
    }
}

/// Returns the requests of a list. An error names every line without one.
async fn listed(cluster: &Cluster, file: &str) -> Result<Vec<Request>, Error> {
    let lines = lines(&read_file(file)?).map_err(|why| Error::Usage(format!("{file}: {why}")))?;
    let mut all = Vec::new();
    let mut errors = Vec::new();
    for (line, row) in lines {
        let found = match row {
            Ok(row) => named(cluster, &row.word).await,
            Err(why) => Err(Error::Usage(why)),
        };
        match found {
            Ok(found) => all.extend(found),
            Err(Error::Usage(why)) => errors.push(format!("line {line}: {why}")),
            Err(error) => return Err(error),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(Error::Usage(format!("{file}: {}", errors.join("; ")))) }
}

/// Returns the requests that a name, KIND/NAME or a connector ID stands for. It is an error if there are none.
async fn named(cluster: &Cluster, name: &str) -> Result<Vec<Request>, Error> {
    let found = match (Uuid::try_parse(name), name.split_once('/')) {
        (Ok(id), None) => {
            let params = ListParams::default().fields(&format!("spec.connectorID={id}"));
            list(cluster, Some(&cluster.namespace), &params).await?
        }
        (_, Some((kind, name))) => {
            let kind = Kind::named(kind).ok_or_else(|| {
                Error::Usage(format!("{kind} is no kind of requests: write mrb/{name} or crst/{name}"))
            })?;
            get(cluster, kind, name).await?.into_iter().collect()
        }
        (_, None) => {
            let mut both = Vec::new();
            for kind in Kind::ALL {
                both.extend(get(cluster, kind, name).await?);
            }
            if both.len() > 1 {
                return Err(Error::Usage(format!(
                    "both kinds have a {name}: write mrb/{name} or crst/{name}"
                )));
            }
            both
        }
    };
    if found.is_empty() {
        return Err(Error::Usage(format!(
            "there is no request {name} in the namespace {}: see --namespace, or kubectl cde status -A",
            cluster.namespace
        )));
    }
    Ok(found)
}

async fn get(cluster: &Cluster, kind: Kind, name: &str) -> Result<Option<Request>, Error> {
    let found = kind.api(cluster, Some(&cluster.namespace)).get_opt(name).await;
    let found = found.map_err(|error| call(cluster, kind, "get", name).error(&error))?;
    found.map(|object| Request::read(kind, object)).transpose()
}

/// Returns the requests of both kinds. One that cannot be read is left out with a warning, so that the others are shown.
pub(super) async fn list(
    cluster: &Cluster,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Vec<Request>, Error> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let found = kind.api(cluster, namespace).list(params).await;
        let found = found.map_err(|error| call(cluster, kind, "list", "").error(&error))?;
        all.extend(found.items.into_iter().filter_map(|object| read(kind, object)));
    }
    Ok(all)
}

/// Reads an object, or warns that it cannot be read.
pub(super) fn read(kind: Kind, object: DynamicObject) -> Option<Request> {
    Request::read(kind, object).map_err(|error| note(format_args!("warning: {error}"))).ok()
}
