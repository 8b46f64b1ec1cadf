//! What an answer means: named by what happens next, classified here and nowhere else.

use crate::api::Reason;
use crate::cde::model::{Failure, FailureKind};

/// What a failed call means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It passes by itself: try again, later.
    Transient(Effect),
    /// The token is refused: nothing goes on before there is another one.
    Unauthorized,
    /// It does not pass: the request fails with this reason.
    Terminal(Reason),
}

/// Whether the failed call may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It had none.
    None,
    /// Nobody can tell yet. `raced`: the server may still be at work, so the claim is waited out before the
    /// connector is read.
    Unknown {
        /// No answer came, or one of something in between that gave up waiting.
        raced: bool,
    },
}

/// The API's words for "not now": `Transition is not allowed, entity is resynchronizing-to-prod.`
const PASSING_400: &str = "Transition is not allowed";

/// The table of errors for a call that changes something.
#[must_use]
pub fn classify(failure: &Failure) -> Class {
    use Class::{Transient, Unauthorized};
    match failure.kind {
        // Nothing was sent.
        FailureKind::NotSent => Transient(Effect::None),
        // It may have arrived, and the server may still be at it.
        FailureKind::NoAnswer => Transient(Effect::Unknown { raced: true }),
        // The server said yes, and its words were lost.
        FailureKind::Unreadable { .. } => Transient(Effect::Unknown { raced: false }),
        FailureKind::Status { code, from_api } => match code {
            // The token, whoever says so: in front of the API may stand what checks it.
            401 => Unauthorized,
            // Locked, too early, too many: refused before anything was done.
            423 | 425 | 429 => Transient(Effect::None),
            code if gave_up(Some(code)) => Transient(Effect::Unknown { raced: true }),
            // A conflict with what is under way, perhaps with an earlier attempt of ours.
            409 => Transient(Effect::Unknown { raced: false }),
            400..=499 if from_api => refusal(code, &failure.message),
            // An ingress, a firewall or a wrong path spoke, not the CDE API.
            400..=499 => Transient(Effect::None),
            // 5xx; 3xx, which is never followed; and what is no HTTP status at all.
            _ => Transient(Effect::Unknown { raced: false }),
        },
    }
}

/// What it means that the CDE API itself refuses.
fn refusal(code: u16, message: &str) -> Class {
    match code {
        // The version is being synchronized: it passes by itself.
        400 if message.contains(PASSING_400) => Class::Transient(Effect::None),
        400 => Class::Terminal(Reason::NotAllowed),
        403 => Class::Terminal(Reason::AccessDenied),
        404 => Class::Terminal(Reason::NotFound),
        // 405, 410, 422 and what else may come.
        _ => Class::Terminal(Reason::Rejected),
    }
}

/// Whether an attempt ended without the server's own answer: there was none at all (`None`), or something in
/// between gave up waiting for it. The server may still be at work.
pub(super) fn gave_up(code: Option<u16>) -> bool {
    matches!(code, None | Some(408 | 502 | 504))
}

/// The same table for a call that only reads: it has no effect.
#[must_use]
pub fn classify_read(failure: &Failure) -> Class {
    match classify(failure) {
        Class::Transient(_) => Class::Transient(Effect::None),
        other => other,
    }
}

/// Whether an answer lets every object wait: the API is limited, or announced when it will be back.
#[must_use]
pub fn pauses_all(failure: &Failure) -> bool {
    match failure.code() {
        Some(429) => true,
        Some(503) => failure.retry_at.is_some(),
        _ => false,
    }
}

/// Whether an answer speaks for an API that is down: it did not connect, timed out or got 502, 503 or 504.
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
    const UNKNOWN: Class = Class::Transient(Effect::Unknown { raced: false });
    const RACED: Class = Class::Transient(Effect::Unknown { raced: true });

    fn failure(kind: FailureKind, message: &str) -> Failure {
        Failure { kind, message: message.to_owned(), retry_at: None }
    }

    fn spoken(code: u16) -> Class {
        classify(&failure(FailureKind::Status { code, from_api: true }, "message"))
    }

    fn unspoken(code: u16) -> Class {
        classify(&failure(FailureKind::Status { code, from_api: false }, "message"))
    }

    #[test]
    fn a_call_that_was_not_sent_is_repeated_without_a_doubt() {
        assert_eq!(classify(&failure(FailureKind::NotSent, "")), NONE);
    }

    #[test]
    fn locked_early_and_limited_calls_had_no_effect() {
        for code in [423, 425, 429] {
            assert_eq!(spoken(code), NONE, "{code}");
            assert_eq!(unspoken(code), NONE, "{code}");
        }
    }

    #[test]
    fn a_transition_that_is_not_allowed_now_passes_by_itself() {
        let message = "Transition is not allowed, entity is resynchronizing-to-prod.";
        assert_eq!(classify(&failure(FailureKind::Status { code: 400, from_api: true }, message)), NONE);
    }

    #[test]
    fn a_lost_answer_may_have_had_an_effect_and_the_server_may_still_be_at_it() {
        assert_eq!(classify(&failure(FailureKind::NoAnswer, "")), RACED);
        for code in [408, 502, 504] {
            assert_eq!(spoken(code), RACED, "{code}");
            assert_eq!(unspoken(code), RACED, "{code}");
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
        assert_eq!(classify(&failure(FailureKind::Unreadable { code: 200 }, "")), UNKNOWN);
    }

    #[test]
    fn a_refused_token_waits_for_another_one_whoever_refuses_it() {
        assert_eq!(spoken(401), Class::Unauthorized);
        assert_eq!(unspoken(401), Class::Unauthorized);
    }

    #[test]
    fn what_the_cde_api_refuses_for_good_is_terminal() {
        for (code, reason) in [
            (400, Reason::NotAllowed),
            (403, Reason::AccessDenied),
            (404, Reason::NotFound),
            (405, Reason::Rejected),
            (410, Reason::Rejected),
            (422, Reason::Rejected),
            (418, Reason::Rejected),
            (499, Reason::Rejected),
        ] {
            assert_eq!(spoken(code), Class::Terminal(reason), "{code}");
        }
    }

    #[test]
    fn what_something_in_between_refuses_passes() {
        for code in [400, 403, 404, 405, 410, 413, 422, 431] {
            assert_eq!(unspoken(code), NONE, "{code}");
        }
    }

    #[test]
    fn a_read_has_no_effect_whatever_its_answer() {
        for kind in [
            FailureKind::NoAnswer,
            FailureKind::Unreadable { code: 200 },
            FailureKind::Status { code: 500, from_api: false },
            FailureKind::Status { code: 302, from_api: false },
        ] {
            assert_eq!(classify_read(&failure(kind, "")), NONE, "{kind:?}");
        }
        let denied = failure(FailureKind::Status { code: 403, from_api: true }, "");
        assert_eq!(classify_read(&denied), Class::Terminal(Reason::AccessDenied));
    }

    #[test]
    fn a_limit_and_an_announced_outage_pause_all_and_a_bare_503_does_not() {
        let mut limited = failure(FailureKind::Status { code: 429, from_api: true }, "");
        assert!(pauses_all(&limited));
        limited.kind = FailureKind::Status { code: 503, from_api: false };
        assert!(!pauses_all(&limited));
        limited.retry_at = Some(jiff::Timestamp::UNIX_EPOCH);
        assert!(pauses_all(&limited));
    }

    #[test]
    fn no_connection_no_answer_and_a_gateway_that_gave_up_look_down() {
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
