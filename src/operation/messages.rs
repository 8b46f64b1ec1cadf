//! Messages for people that more than one rule writes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::Reason;

/// What requests say that wait because the circuit breaker is open: one text, whatever the cause, so that an outage
/// costs each of them one write at most.
pub(super) const ON_HOLD: &str =
    "CDE API calls are on hold (API unavailable, rate limited, or token rejected).";
/// The message of a request that waits for another one starts and ends like this.
pub(super) const QUEUED: &str = "Waiting for ";
pub(super) const QUEUED_END: &str = ", which is for the same connector.";

/// An error in words: its code where it has one, and its message.
pub(super) fn answer_text(code: Option<u16>, message: &str) -> String {
    code.map_or_else(|| message.to_owned(), |code| format!("the CDE API answered {code}: {message}"))
}

/// What the condition says about a wait.
pub(super) fn wait_message(reason: Reason, why: &str) -> String {
    match reason {
        Reason::Verifying => format!(
            "The connector is read to find out whether the last attempt had an effect; waiting: {why}"
        ),
        Reason::TokenRejected => format!("Waiting for another token: {why}"),
        _ => format!("Waiting before the next attempt: {why}"),
    }
}

/// `text` with a capital letter.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `time` as people read it in a message.
pub(super) fn show(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
