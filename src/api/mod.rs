//! The kinds that a user writes, and the status that the operator writes: types only.
//!
//! The custom resource definitions are derived from these types ([`crds`]), so a doc comment here is what
//! `kubectl explain` prints.

#![allow(clippy::doc_markdown, reason = "these comments are read in a terminal, by `kubectl explain`")]
#![expect(unreachable_pub, reason = "deriving KubeSchema repeats each struct where nobody else can see it")]

/// The one list of kinds: expands to `$each! { ConnectorRestore … }`.
///
/// CRDs, controllers, the permissions that `check` asks for, and metric labels follow from it.
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
/// Annotation that records what became of a request of unknown outcome: `OPERATION_ID:Succeeded` or
/// `OPERATION_ID:Failed`.
pub const CONFIRM_ANNOTATION: &str = "cde.productsup.com/confirm";
/// Annotation that asks for another attempt: an RFC 3339 time, later than `status.lastHandledRetry`.
pub const RETRY_ANNOTATION: &str = "cde.productsup.com/retry";
/// The annotations by which a person asks for something.
pub const ANNOTATIONS: [&str; 2] = [RETRY_ANNOTATION, CONFIRM_ANNOTATION];
