//! The only classification of responses, by what happens next.

use crate::api::Reason;
use crate::cde::model::{Failure, FailureKind};

/// The class of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The call is repeated later.
    Transient(Effect),
    /// The token is rejected: calls wait for another one.
    TokenRejected,
    /// The request fails with this reason.
    Terminal(Reason),
}

/// Whether the failed call may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It had none.
    None,
    /// It is not known yet.
    Unknown {
        /// There was no response, or an intermediary timed out: the connector is read only after the end of the claim.
        server_may_still_run: bool,
    },
}

/// Start of the API's message for "not now": `Transition is not allowed, entity is resynchronizing-to-prod.`
const NOT_NOW: &str = "Transition is not allowed";

/// The refusals that the CDE API reference documents, by code and message. Any other refusal may come from a gateway, so
/// it must be confirmed.
const DOCUMENTED: [(u16, &str, Reason); 5] = [
    (
        400,
        "operation is only allowed for connectors that were previously synchronized to production",
        Reason::OperationNotAllowed,
    ),
    (400, "connector is actively used on the platform", Reason::OperationNotAllowed),
    (403, "access denied for user", Reason::AccessDenied),
    (404, "connector not found", Reason::NotFound),
    (404, "connector does not have specified version", Reason::NotFound),
];

/// Classifies the failure of a changing call. `confirmed`: earlier refusals confirm this one, if it is undocumented.
#[must_use]
pub fn classify(failure: &Failure, confirmed: bool) -> Class {
    use Class::{Terminal, TokenRejected, Transient};
    match failure.kind {
        FailureKind::NotSent => Transient(Effect::None),
        // The server may have received the call and may still run it.
        FailureKind::NoAnswer => Transient(Effect::Unknown { server_may_still_run: true }),
        // A success whose body was lost.
        FailureKind::Unreadable { .. } => Transient(Effect::Unknown { server_may_still_run: false }),
        FailureKind::Status { code, from_api } => match code {
            // From the API or from an intermediary that checks the token.
            401 => TokenRejected,
            // Locked, too early, too many requests: refused before anything was done.
            423 | 425 | 429 => Transient(Effect::None),
            code if is_unanswered(Some(code)) => Transient(Effect::Unknown { server_may_still_run: true }),
            // A conflict, perhaps with an earlier attempt of this request.
            409 => Transient(Effect::Unknown { server_may_still_run: false }),
            // The version is being synchronized.
            400 if from_api && failure.message.contains(NOT_NOW) => Transient(Effect::None),
            400..=499 if from_api => match documented(code, &failure.message) {
                Some(reason) => Terminal(reason),
                None if confirmed => Terminal(undocumented(code)),
                None => Transient(Effect::None),
            },
            // From an ingress, a firewall or a wrong path, not from the CDE API.
            400..=499 => Transient(Effect::None),
            // 5xx, 3xx (redirects are never followed), and codes that HTTP does not define.
            _ => Transient(Effect::Unknown { server_may_still_run: false }),
        },
    }
}

/// Returns the reason of a documented refusal.
fn documented(code: u16, message: &str) -> Option<Reason> {
    let said = message.trim().trim_end_matches('.').to_lowercase();
    let row = DOCUMENTED.iter().find(|(its, text, _)| *its == code && *text == said);
    row.map(|(_, _, reason)| *reason)
}

/// Returns the reason of a confirmed undocumented refusal.
fn undocumented(code: u16) -> Reason {
    match code {
        400 => Reason::OperationNotAllowed,
        403 => Reason::AccessDenied,
        404 => Reason::NotFound,
        _ => Reason::RequestRejected,
    }
}

/// Returns the code of a refusal that earlier ones must confirm.
#[must_use]
pub fn undocumented_refusal(failure: &Failure) -> Option<u16> {
    let is_terminal = |confirmed| matches!(classify(failure, confirmed), Class::Terminal(_));
    failure.code().filter(|_| is_terminal(true) && !is_terminal(false))
}

/// Whether a call ended without a response of the server, which may still run it: there was none (`None`), or an
/// intermediary timed out.
pub(super) fn is_unanswered(code: Option<u16>) -> bool {
    matches!(code, None | Some(408 | 502 | 504))
}

/// Classifies the failure of a read, which never has an effect, by the same table.
#[must_use]
pub fn classify_read(failure: &Failure, confirmed: bool) -> Class {
    match classify(failure, confirmed) {
        Class::Transient(_) => Class::Transient(Effect::None),
        other => other,
    }
}

/// Whether a response pauses the calls of all objects: the API limits calls, or said when it will be available again.
#[must_use]
pub fn pauses_all(failure: &Failure) -> bool {
    match failure.code() {
        Some(429) => true,
        Some(503) => failure.retry_at.is_some(),
        _ => false,
    }
}

/// Whether a response indicates an outage: no connection, a timeout, or 502, 503 or 504.
#[must_use]
pub fn looks_down(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::NotSent | FailureKind::NoAnswer => true,
        FailureKind::Status { code, .. } => matches!(code, 502..=504),
        FailureKind::Unreadable { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Class = Class::Transient(Effect::None);
    const UNKNOWN: Class = Class::Transient(Effect::Unknown { server_may_still_run: false });
    const MAY_STILL_RUN: Class = Class::Transient(Effect::Unknown { server_may_still_run: true });

    fn failure(kind: FailureKind, message: &str) -> Failure {
        Failure { kind, message: message.to_owned(), retry_at: None }
    }

    fn spoken(code: u16) -> Class {
        classify(&failure(FailureKind::Status { code, from_api: true }, "message"), false)
    }

    fn unspoken(code: u16) -> Class {
        classify(&failure(FailureKind::Status { code, from_api: false }, "message"), false)
    }

    #[test]
    fn a_call_that_was_not_sent_had_no_effect() {
        assert_eq!(classify(&failure(FailureKind::NotSent, ""), false), NONE);
    }

    #[test]
    fn calls_refused_as_locked_early_or_limited_had_no_effect() {
        for code in [423, 425, 429] {
            assert_eq!(spoken(code), NONE, "{code}");
            assert_eq!(unspoken(code), NONE, "{code}");
        }
    }

    #[test]
    fn a_transition_that_is_not_allowed_now_is_transient() {
        let message = "Transition is not allowed, entity is resynchronizing-to-prod.";
        let failure = failure(FailureKind::Status { code: 400, from_api: true }, message);
        assert_eq!(classify(&failure, false), NONE);
        assert_eq!(classify(&failure, true), NONE, "however often it comes");
    }

    #[test]
    fn an_unanswered_call_may_still_run() {
        assert_eq!(classify(&failure(FailureKind::NoAnswer, ""), false), MAY_STILL_RUN);
        for code in [408, 502, 504] {
            assert_eq!(spoken(code), MAY_STILL_RUN, "{code}");
            assert_eq!(unspoken(code), MAY_STILL_RUN, "{code}");
        }
    }

    #[test]
    fn conflicts_redirects_and_server_errors_may_have_had_an_effect() {
        for code in [409, 500, 501, 503, 505, 520, 599, 300, 301, 302, 303, 307, 308, 101] {
            assert_eq!(spoken(code), UNKNOWN, "{code}");
            assert_eq!(unspoken(code), UNKNOWN, "{code}");
        }
    }

    #[test]
    fn a_success_that_cannot_be_read_may_have_had_an_effect() {
        assert_eq!(classify(&failure(FailureKind::Unreadable { code: 200 }, ""), false), UNKNOWN);
    }

    #[test]
    fn a_401_means_that_the_token_is_rejected_whatever_its_source() {
        assert_eq!(spoken(401), Class::TokenRejected);
        assert_eq!(unspoken(401), Class::TokenRejected);
    }

    #[test]
    fn a_documented_refusal_is_terminal_at_once() {
        for (code, message, reason) in [
            (
                400,
                " OPERATION is only allowed for connectors that were previously synchronized to production\n",
                Reason::OperationNotAllowed,
            ),
            (400, "Connector is actively used on the platform.", Reason::OperationNotAllowed),
            (403, "Access denied for user.", Reason::AccessDenied),
            (404, "connector not found", Reason::NotFound),
            (404, "Connector does not have specified version.", Reason::NotFound),
        ] {
            let failure = failure(FailureKind::Status { code, from_api: true }, message);
            assert_eq!(classify(&failure, false), Class::Terminal(reason), "{code} {message}");
            assert_eq!(undocumented_refusal(&failure), None, "{code} {message}");
        }
    }

    #[test]
    fn an_undocumented_refusal_is_transient_until_it_is_confirmed() {
        for (code, message, reason) in [
            (400, "Bad Request", Reason::OperationNotAllowed),
            (403, "Forbidden", Reason::AccessDenied),
            (403, "Connector not found.", Reason::AccessDenied),
            (404, "no Route matched with those values", Reason::NotFound),
            (405, "message", Reason::RequestRejected),
            (410, "message", Reason::RequestRejected),
            (418, "message", Reason::RequestRejected),
            (422, "message", Reason::RequestRejected),
            (499, "message", Reason::RequestRejected),
        ] {
            let failure = failure(FailureKind::Status { code, from_api: true }, message);
            assert_eq!(classify(&failure, false), NONE, "{code}");
            assert_eq!(classify(&failure, true), Class::Terminal(reason), "{code}");
            assert_eq!(undocumented_refusal(&failure), Some(code), "{code}");
        }
        for code in [401, 408, 409, 423, 425, 429, 500, 503] {
            let failure = failure(FailureKind::Status { code, from_api: true }, "message");
            assert_eq!(undocumented_refusal(&failure), None, "{code}");
        }
    }

    #[test]
    fn a_refusal_of_an_intermediary_is_transient() {
        for code in [400, 403, 404, 405, 410, 413, 422, 431] {
            assert_eq!(unspoken(code), NONE, "{code}");
            let failure = failure(FailureKind::Status { code, from_api: false }, "message");
            assert_eq!(classify(&failure, true), NONE, "{code}, however often it comes");
        }
    }

    #[test]
    fn a_read_has_no_effect_whatever_its_response() {
        for kind in [
            FailureKind::NoAnswer,
            FailureKind::Unreadable { code: 200 },
            FailureKind::Status { code: 500, from_api: false },
            FailureKind::Status { code: 302, from_api: false },
        ] {
            assert_eq!(classify_read(&failure(kind, ""), false), NONE, "{kind:?}");
        }
        let denied = failure(FailureKind::Status { code: 403, from_api: true }, "Access denied for user.");
        assert_eq!(classify_read(&denied, false), Class::Terminal(Reason::AccessDenied));
    }

    #[test]
    fn a_429_and_a_503_with_a_time_pause_all_calls() {
        let mut limited = failure(FailureKind::Status { code: 429, from_api: true }, "");
        assert!(pauses_all(&limited));
        limited.kind = FailureKind::Status { code: 503, from_api: false };
        assert!(!pauses_all(&limited));
        limited.retry_at = Some(jiff::Timestamp::UNIX_EPOCH);
        assert!(pauses_all(&limited));
    }

    #[test]
    fn no_connection_a_timeout_and_gateway_errors_indicate_an_outage() {
        for kind in [FailureKind::NotSent, FailureKind::NoAnswer] {
            assert!(looks_down(&failure(kind, "")));
        }
        for (code, down) in [(502, true), (503, true), (504, true), (500, false), (429, false), (404, false)]
        {
            assert_eq!(
                looks_down(&failure(FailureKind::Status { code, from_api: false }, "")),
                down,
                "{code}"
            );
        }
    }
}
