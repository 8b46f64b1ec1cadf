//! Deliberate mistakes, each of which the model must detect: in the shell's protocol, and in the inputs and results of the
//! real decisions.

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    // In the shell.
    /// The refresh token is sent without a claim.
    ClaimIsSkipped,
    /// A claim without a clear answer counts as stored.
    ClaimIsNotConfirmed,
    /// Patches do not depend on the version that the decision was based on.
    ConflictIsIgnored,
    /// The refresh token is sent although the time of the claim is over.
    EndedClaimSends,
    /// The new access token is used before it is stored.
    UsedBeforeStored,
    /// The claim is removed before the new tokens are stored.
    ClaimIsReleasedFirst,
    /// The new tokens are written once, and given up if the write gets no clear answer.
    ResultIsWrittenOnce,
    /// A refresh token that another process or a person replaced is not noted.
    ReplacedIsForgotten,
    /// A refresh token that the server rejected is not noted.
    RejectionIsForgotten,
    /// A version of the Secret that is older than the known one is taken over.
    OlderVersionIsTaken,
    /// A result is stored over the claim of another process.
    ClaimIsOverwritten,
    /// At the end of a refresh the claim is removed, whoever holds it.
    AnyClaimIsReleased,
    /// New tokens that another login replaces are revoked although the time of the claim is over, so that the other login
    /// may be their own successor.
    EndedClaimRevokes,
    /// New tokens that another login replaces are revoked although an earlier write may have stored them, so that another
    /// process may have refreshed them.
    UnclearWriteRevokes,
    /// New tokens are revoked although another process stored its own ones and kept the claim.
    KeptClaimRevokes,
    // Around the decisions.
    /// A refresh token that is noted as spent is sent again when an old Secret shows it.
    SpentIsSentAgain,
    /// Another process's claim counts as over at once.
    ClaimIsNotWaitedOut,
    /// Every claim counts as the process's own.
    AnyClaimCountsAsOwn,
    /// The process's own claim counts as another's.
    OwnClaimCountsAsAnothers,
    /// A new login, or a logout, is overwritten at a conflict.
    AnyLoginIsOverwritten,
    /// A conflict with any cause ends the result.
    AnyConflictEndsTheResult,
    /// An old login that is put back counts as a new one.
    OldLoginWins,
}
