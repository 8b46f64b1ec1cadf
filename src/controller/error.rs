//! The error of a reconciliation.

/// Why a reconciliation was interrupted. It is repeated from the stored status.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    #[error("request to the API server failed: {0}")]
    ApiServer(String),
    /// The API server drops fields of the status.
    #[error("the installed CRDs are older than this operator: apply crds/")]
    CrdTooOld,
}

impl ReconcileError {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::ApiServer(_) => "api_server",
            Self::CrdTooOld => "crd_too_old",
        }
    }
}
