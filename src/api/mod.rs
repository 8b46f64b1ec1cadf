//! The custom resources: types only.
//!
//! The CRDs are derived from these types ([`crds`]), so `kubectl explain` prints the doc comments.

#![allow(clippy::doc_markdown, reason = "`kubectl explain` prints these comments in a terminal")]
#![expect(unreachable_pub, reason = "deriving KubeSchema repeats each struct in a private scope")]

/// The only list of kinds: expands to `$each! { ConnectorRestore … }`. CRDs, controllers, the permissions that `check`
/// tests, and metric labels follow from it.
macro_rules! for_each_kind {
    ($each:ident) => {
        $each! {
            ConnectorRestore
            MigrationRollback
        }
    };
}
pub(crate) use for_each_kind;

mod connector_id;
mod connector_restore;
mod crd;
mod migration_rollback;
mod status;

pub use connector_restore::{
    ConnectorRestore, ConnectorRestoreSpec, ConnectorSummary, RestoreResult, RestoredVersion,
};
pub use crd::{crds, crds_yaml};
pub use migration_rollback::{
    ConnectorName, ExecutableConditions, MigrationRollback, MigrationRollbackSpec, Preconditions,
    ResolvedVersion, RollbackResult,
};
pub(crate) use status::TEXT;
pub use status::{
    Evidence, Executables, InFlight, LastError, OperationRecord, Outcome, PlatformConnectors, Reason, Status,
    VersionFacts,
};

/// API group of all kinds.
pub const GROUP: &str = "cde.productsup.com";
/// Version of all kinds.
pub const VERSION: &str = "v1alpha1";
/// Annotation that confirms an unknown outcome: `OPERATION_ID:Succeeded` or `OPERATION_ID:Failed`.
pub const CONFIRM_ANNOTATION: &str = "cde.productsup.com/confirm";
/// Annotation that requests another attempt: an RFC 3339 time, later than `status.lastHandledRetry`.
pub const RETRY_ANNOTATION: &str = "cde.productsup.com/retry";
/// The annotations that the operator reacts to.
pub const ANNOTATIONS: [&str; 2] = [RETRY_ANNOTATION, CONFIRM_ANNOTATION];
