//! The two kinds, by the names that people type.

use cde_operator::api::{ConnectorRestore, MigrationRollback};
use clap::ValueEnum;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client};

use crate::cluster::Cluster;

/// A kind of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// `ConnectorRestore`.
    Restore,
    /// `MigrationRollback`.
    Rollback,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 2] = [Self::Restore, Self::Rollback];

    /// Returns the kind that kubectl knows by this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let name = name.split('.').next().unwrap_or_default();
        Self::ALL.into_iter().find(|kind| {
            let resource = kind.resource();
            [kind.short(), &resource.plural, &resource.kind.to_lowercase()].contains(&name)
        })
    }

    /// Returns the short name for kubectl.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Restore => "crst",
            Self::Rollback => "mrb",
        }
    }

    /// Returns the command that creates such requests.
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Rollback => "rollback",
        }
    }

    /// Returns the kind as the API server knows it.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::Restore => ApiResource::erase::<ConnectorRestore>(&()),
            Self::Rollback => ApiResource::erase::<MigrationRollback>(&()),
        }
    }

    /// Returns the requests of this kind in a namespace, or in all.
    pub(crate) fn api(self, cluster: &Cluster, namespace: Option<&str>) -> Api<DynamicObject> {
        self.api_of(cluster.client.clone(), namespace)
    }

    /// As [`Self::api`], for watches.
    pub(crate) fn watch_api(self, cluster: &Cluster, namespace: Option<&str>) -> Api<DynamicObject> {
        self.api_of(cluster.watch_client.clone(), namespace)
    }

    fn api_of(self, client: Client, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &self.resource()),
            None => Api::all_with(client, &self.resource()),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_names_that_kubectl_accepts() {
        for name in
            ["mrb", "MigrationRollback", "migrationrollbacks", "migrationrollbacks.cde.productsup.com"]
        {
            assert_eq!(Kind::named(name), Some(Kind::Rollback), "{name}");
        }
        assert_eq!((Kind::named("crst"), Kind::named("pod")), (Some(Kind::Restore), None));
    }
}
