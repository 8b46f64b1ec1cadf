//! Why a reconciliation could not go on.

/// A reconciliation that could not go on; nothing is lost, it begins again from what is stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// The API server did not answer, or not with what was asked for.
    #[error("the API server cannot be used: {0}")]
    ApiServer(String),
    /// The API server drops fields of the status: its CRDs are older than this operator.
    #[error("the API server's custom resource definitions are older than this operator: apply crds/")]
    CrdTooOld,
}

impl ReconcileError {
    /// Which one, as one word.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::ApiServer(_) => "api_server",
            Self::CrdTooOld => "crd_too_old",
        }
    }
}
