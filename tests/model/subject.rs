//! The two kinds, as far as the model must build their objects and the CDE's data about them.

use cde_operator::api::{
    ConnectorRestore, ConnectorRestoreSpec, MigrationRollback, MigrationRollbackSpec, Status,
};
use cde_operator::cde::model::{Connector, Data, Field, Version};
use cde_operator::operation::Operation;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;

use crate::state::Major;

const CONNECTOR: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";

/// The state of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stand {
    /// As before any effect: not rolled back, or in the bin.
    Before,
    /// An effect is under way (only for a rollback).
    Moving,
    /// As after an effect: rolled back, or live.
    After,
}

/// A kind that the model supports.
pub(crate) trait Subject: Operation<Result: Serialize + Send + Sync> + Send + Sync + 'static {
    /// Whether a repeated call has a second effect. Otherwise the CDE answers it with 404.
    const REPEATABLE: bool;

    /// Returns an object of this kind.
    fn object(
        metadata: ObjectMeta,
        suspend: bool,
        not_after: Timestamp,
        status: Status<Self::Result>,
    ) -> Self;
    /// Returns the connector as it is read: both its versions are in this state, and this one is its main version.
    fn connector(stand: Stand, main: Major) -> Connector;
    /// Forgets which version `main` resolved to.
    fn unpin(result: &mut Self::Result);
    /// Returns the response to a successful call.
    fn success() -> Data;
}

impl Subject for MigrationRollback {
    const REPEATABLE: bool = true;

    fn object(
        metadata: ObjectMeta,
        suspend: bool,
        not_after: Timestamp,
        status: Status<Self::Result>,
    ) -> Self {
        let spec = MigrationRollbackSpec {
            connector_id: CONNECTOR.parse().unwrap(),
            version: "main".to_owned(),
            not_after: Time(not_after),
            deadline_seconds: None,
            suspend: Some(suspend),
            preconditions: None,
        };
        Self { metadata, spec, status: Some(status) }
    }

    fn connector(stand: Stand, main: Major) -> Connector {
        let version = Version {
            state: Field::Value(
                if stand == Stand::Moving { "resynchronizing-to-prod" } else { "synchronized-to-prod" }
                    .to_owned(),
            ),
            production_executable: Field::Value(if stand == Stand::After { 24 } else { 25 }),
            ..version()
        };
        connector(version, main)
    }

    fn unpin(result: &mut Self::Result) {
        result.resolved_version = None;
    }

    fn success() -> Data {
        Data::Version(Box::new(Version { production_executable: Field::Value(24), ..version() }))
    }
}

impl Subject for ConnectorRestore {
    const REPEATABLE: bool = false;

    fn object(
        metadata: ObjectMeta,
        suspend: bool,
        not_after: Timestamp,
        status: Status<Self::Result>,
    ) -> Self {
        let spec = ConnectorRestoreSpec {
            connector_id: CONNECTOR.parse().unwrap(),
            not_after: Some(Time(not_after)),
            deadline_seconds: None,
            suspend: Some(suspend),
        };
        Self { metadata, spec, status: Some(status) }
    }

    fn connector(stand: Stand, main: Major) -> Connector {
        let binned = Field::Value("2026-11-01T00:00:00Z".to_owned());
        let deleted_at = if stand == Stand::After { Field::Null } else { binned };
        connector(Version { deleted_at, ..version() }, main)
    }

    fn unpin(_: &mut Self::Result) {}

    fn success() -> Data {
        Data::Connector(Box::new(Self::connector(Stand::After, 1)))
    }
}

fn connector(version: Version, main: Major) -> Connector {
    let newer = Version { version: Field::Value("2.0.0".to_owned()), ..version.clone() };
    Connector {
        id: Field::Value(CONNECTOR.to_owned()),
        main_version_number: Field::Value(main.into()),
        versions: Field::Value(vec![version, newer]),
        ..Connector::default()
    }
}

fn version() -> Version {
    Version {
        version: Field::Value("1.0.0".to_owned()),
        state: Field::Value("synchronized-to-prod".to_owned()),
        deleted_at: Field::Null,
        legacy_executable: Field::Value(24),
        production_executable: Field::Value(25),
        production_platform_connector: Field::Value(5),
        development_executable: Field::Null,
        development_platform_connector: Field::Null,
    }
}
