//! The two kinds, and how to request one of each.

use cde_sandbox::cde::{Connector, Version};
use jiff::{SignedDuration, Timestamp};
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use cde_operator::api::{ConnectorRestore, GROUP, MigrationRollback, VERSION};

/// One of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Restore,
    Rollback,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Restore, Self::Rollback];

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::Restore => ApiResource::erase::<ConnectorRestore>(&()),
            Self::Rollback => ApiResource::erase::<MigrationRollback>(&()),
        }
    }

    /// Returns the plural, as in API paths.
    pub(crate) fn plural(self) -> String {
        match self {
            Self::Restore => ConnectorRestore::plural(&()).into_owned(),
            Self::Rollback => MigrationRollback::plural(&()).into_owned(),
        }
    }

    /// Returns the kind's name in reports.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Rollback => "rollback",
        }
    }

    /// Returns the API for the objects of this kind in a namespace.
    pub(crate) fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }

    /// Returns a manifest as a user writes it.
    pub(crate) fn manifest(self, name: &str, connector: Uuid) -> Value {
        let mut manifest = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": self.resource().kind,
            "metadata": {"name": name},
            "spec": {"connectorID": connector},
        });
        if self == Self::Rollback {
            let later = Timestamp::now() + SignedDuration::from_hours(12);
            manifest["spec"]["version"] = "main".into();
            manifest["spec"]["notAfter"] = json!(Timestamp::from_second(later.as_second()).unwrap_or(later));
        }
        manifest
    }

    /// Returns a connector for which a request of this kind succeeds.
    pub(crate) fn willing(self, id: Uuid) -> Connector {
        match self {
            Self::Restore => Connector::in_bin(id).version(Version::default()).main(1),
            Self::Rollback => Connector::migrated(id),
        }
    }
}

/// One value per kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Each<T> {
    pub(crate) restore: T,
    pub(crate) rollback: T,
}

impl<T> Each<T> {
    pub(crate) const fn of(&self, kind: Kind) -> &T {
        match kind {
            Kind::Restore => &self.restore,
            Kind::Rollback => &self.rollback,
        }
    }
}
