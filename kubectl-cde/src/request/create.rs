//! Creates requests.

use cde_operator::text::cut;
use futures::future::join_all;
use kube::api::{DynamicObject, PostParams};

use super::{FIELD_MANAGER, Kind, Request};
use crate::cluster::Cluster;
use crate::error::{Call, Error, has_code};

/// So many requests are created at the same time. After an error, no further ones are.
const AT_ONCE: usize = 10;

/// What became of a request.
pub(crate) enum Created {
    /// It was created.
    New(Request),
    /// A request for the same version of the same connector already had its name. Nothing was changed.
    Existing(Request),
}

impl Created {
    /// Returns the request as it is stored.
    pub(crate) const fn request(&self) -> &Request {
        match self {
            Self::New(request) | Self::Existing(request) => request,
        }
    }

    /// As [`Self::request`].
    pub(crate) fn into_request(self) -> Request {
        match self {
            Self::New(request) | Self::Existing(request) => request,
        }
    }
}

/// Creates all requests, or stops at an error that says what exists. With `dry_run`, the API server checks them only.
pub(crate) async fn create(
    cluster: &Cluster,
    requests: &[Request],
    dry_run: bool,
) -> Result<Vec<Created>, Error> {
    let mut created = Vec::with_capacity(requests.len());
    for part in requests.chunks(AT_ONCE) {
        let mut failure = None;
        for result in join_all(part.iter().map(|request| one(cluster, request, dry_run))).await {
            match result {
                Ok(one) => created.push(one),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(failure) = failure {
            return Err(if dry_run { failure } else { interrupted(&failure, &created, requests.len()) });
        }
    }
    Ok(created)
}

async fn one(cluster: &Cluster, request: &Request, dry_run: bool) -> Result<Created, Error> {
    let kind = request.kind();
    let api = kind.api(cluster, Some(&cluster.namespace));
    let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let read = |object: DynamicObject| Request::read(kind, object);
    let error = match api.create(&params, &request.object).await {
        Ok(object) => return read(object).map(Created::New),
        Err(error) => error,
    };
    if has_code(&error, 409)
        && let Ok(Some(object)) = api.get_opt(request.name()).await
    {
        let existing = read(object)?;
        if existing.has_target_of(request) {
            return Ok(Created::Existing(existing));
        }
        return Err(Error::Kubernetes(format!(
            "{existing} exists in the namespace {} and is for another connector or version: choose another --name",
            cluster.namespace
        )));
    }
    Err(call(cluster, kind, "create", request.name()).error(&error))
}

/// Returns a call about a request, for its errors.
pub(crate) fn call<'a>(cluster: &'a Cluster, kind: Kind, verb: &'a str, name: &'a str) -> Call<'a> {
    let resource = match kind {
        Kind::Restore => "connectorrestores",
        Kind::Rollback => "migrationrollbacks",
    };
    Call { verb, resource, namespace: &cluster.namespace, name }
}

/// Says what exists after an error in the middle of a list.
fn interrupted(failure: &Error, created: &[Created], total: usize) -> Error {
    let Error::Kubernetes(why) = failure else { return failure.clone() };
    if total == 1 {
        return failure.clone();
    }
    Error::Kubernetes(match created.len() {
        0 => format!("{why}; none of the {total} requests was created"),
        some => {
            let names: Vec<&str> = created.iter().map(|one| one.request().name()).collect();
            format!(
                "{why}; {some} of {total} requests exist ({}): run the same command again to create the others",
                cut(&names.join(", "), 300)
            )
        }
    })
}
