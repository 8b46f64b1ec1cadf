//! The requests for a list of connectors.

use std::collections::{BTreeMap, BTreeSet};

use cde_operator::api::{ConnectorRestore, ConnectorRestoreSpec, MigrationRollback, MigrationRollbackSpec};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::api::DynamicObject;
use serde::Serialize;

use super::targets::Target;
use super::{Kind, Request};
use crate::error::Error;

/// A name of an object has at most 253 characters. Half of that is enough for people.
const MAX_NAME: usize = 100;

/// The label of requests that people create with the plugin, so that nobody looks for them in Git.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubectl-cde");

/// What all requests of a list have in common.
pub(crate) struct Template<'a> {
    /// The kind.
    pub(crate) kind: Kind,
    /// The version of the rollbacks for which the list names none.
    pub(crate) version: &'a str,
    /// The end of the window.
    pub(crate) not_after: Timestamp,
    /// Whether they are suspended.
    pub(crate) suspend: bool,
    /// The name, if there is only one request.
    pub(crate) name: Option<&'a str>,
    /// Their labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Their namespace.
    pub(crate) namespace: Option<&'a str>,
    /// The present time, whose date is part of the names.
    pub(crate) now: Timestamp,
}

impl Template<'_> {
    /// Returns one request per target.
    pub(crate) fn requests(&self, targets: &[Target]) -> Result<Vec<Request>, Error> {
        let words = words(targets);
        let mut names = BTreeSet::new();
        let mut requests = Vec::with_capacity(targets.len());
        for (target, word) in targets.iter().zip(words) {
            let request = self.request(target, &word)?;
            if !names.insert(request.name().to_owned()) {
                return Err(Error::Usage(format!(
                    "the connector {} is listed twice, and nothing was created",
                    target.connector
                )));
            }
            requests.push(request);
        }
        Ok(requests)
    }

    fn request(&self, target: &Target, word: &str) -> Result<Request, Error> {
        let version = target.version.as_deref().unwrap_or(self.version);
        let name = self.name.map_or_else(|| self.generated_name(word, version), str::to_owned);
        let suspend = self.suspend.then_some(true);
        let object = match self.kind {
            Kind::Restore => {
                let spec = ConnectorRestoreSpec {
                    connector_id: target.connector,
                    not_after: Some(Time(self.not_after)),
                    deadline_seconds: None,
                    suspend,
                };
                self.object(ConnectorRestore::new(&name, spec))
            }
            Kind::Rollback => {
                let spec = MigrationRollbackSpec {
                    connector_id: target.connector,
                    version: version.to_owned(),
                    not_after: Time(self.not_after),
                    deadline_seconds: None,
                    suspend,
                    preconditions: None,
                };
                self.object(MigrationRollback::new(&name, spec))
            }
        };
        Request::read(self.kind, object.map_err(|error| Error::Usage(error.to_string()))?)
    }

    fn object(
        &self,
        mut object: impl Resource<DynamicType = ()> + Serialize,
    ) -> serde_json::Result<DynamicObject> {
        let metadata = object.meta_mut();
        metadata.namespace = self.namespace.map(str::to_owned);
        metadata.labels = (!self.labels.is_empty()).then(|| self.labels.clone());
        serde_json::from_value(serde_json::to_value(&object)?)
    }

    fn generated_name(&self, word: &str, version: &str) -> String {
        let kind = self.kind.command();
        let date = self.now.strftime("%Y%m%d");
        match (self.kind, version) {
            (Kind::Restore, _) | (_, "main") => format!("{kind}-{word}-{date}"),
            (_, "latest") => format!("{kind}-{word}-latest-{date}"),
            (_, major) => format!("{kind}-{word}-v{major}-{date}"),
        }
    }
}

/// Returns the part of each name that says which connector it is: its name if the list has one for it alone, and otherwise
/// its ID.
fn words(targets: &[Target]) -> Vec<String> {
    let slugs: Vec<String> =
        targets.iter().map(|target| slug(target.name.as_deref().unwrap_or_default())).collect();
    let (mut seen, mut shared) = (BTreeMap::new(), BTreeSet::new());
    for (slug, target) in slugs.iter().zip(targets) {
        if *seen.entry(slug).or_insert(target.connector) != target.connector {
            shared.insert(slug);
        }
    }
    let word = |(slug, target): (&String, &Target)| {
        let is_usable = !slug.is_empty() && !shared.contains(slug);
        if is_usable { slug.clone() } else { target.connector.to_string() }
    };
    slugs.iter().zip(targets).map(word).collect()
}

/// Returns a text as part of a name of an object.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let joined: String = parts.collect::<Vec<_>>().join("-").chars().take(MAX_NAME).collect();
    joined.trim_end_matches('-').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::targets::target;
    use super::*;

    const A: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
    const B: &str = "0d3a8a65-2b0c-4b57-93c3-0a2f1c9a3f11";

    fn names(kind: Kind, targets: &[Target]) -> Vec<String> {
        let template = Template {
            kind,
            version: "main",
            not_after: "2026-11-29T10:00:00Z".parse().unwrap(),
            suspend: false,
            name: None,
            labels: BTreeMap::new(),
            namespace: Some("connectors"),
            now: "2026-11-29T09:00:00Z".parse().unwrap(),
        };
        template.requests(targets).unwrap().iter().map(|request| request.name().to_owned()).collect()
    }

    #[test]
    fn a_name_says_the_kind_the_connector_and_the_date() {
        let target = |id, version, name| target(id, version, name).unwrap();
        assert_eq!(names(Kind::Restore, &[target(A, None, None)]), [format!("restore-{A}-20261129")]);
        let rollbacks = [target(A, Some("2"), Some("Shop (EU)")), target(B, Some("latest"), None)];
        let expected = ["rollback-shop-eu-v2-20261129".to_owned(), format!("rollback-{B}-latest-20261129")];
        assert_eq!(names(Kind::Rollback, &rollbacks), expected);
    }

    #[test]
    fn connectors_that_share_a_name_are_told_apart_by_their_ids() {
        let targets = [target(A, None, Some("Shop")).unwrap(), target(B, None, Some("shop!")).unwrap()];
        let expected = [format!("rollback-{A}-20261129"), format!("rollback-{B}-20261129")];
        assert_eq!(names(Kind::Rollback, &targets), expected);
    }
}
