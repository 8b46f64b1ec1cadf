//! Condition messages that more than one rule writes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::Reason;

/// The same text for every cause, so that an outage costs each waiting request at most one write.
pub(super) const ON_HOLD: &str =
    "CDE API calls are on hold (API unavailable, rate limited, or token rejected).";
/// Start and end of the message of a request that waits for another one.
pub(super) const QUEUED: &str = "Waiting for ";
pub(super) const QUEUED_END: &str = ", which is for the same connector.";

pub(super) fn answer_text(code: Option<u16>, message: &str) -> String {
    code.map_or_else(|| message.to_owned(), |code| format!("the CDE API answered {code}: {message}"))
}

pub(super) fn wait_message(reason: Reason, why: &str) -> String {
    match reason {
        Reason::Verifying => format!("Verifying whether the last attempt had an effect: {why}"),
        Reason::TokenRejected => format!("Waiting for another token: {why}"),
        _ => format!("Waiting before the next attempt: {why}"),
    }
}

pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

pub(super) fn show(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_wait_says_what_it_waits_for() {
        for (reason, message) in [
            (Reason::Verifying, "Verifying whether the last attempt had an effect: why"),
            (Reason::TokenRejected, "Waiting for another token: why"),
            (Reason::Retrying, "Waiting before the next attempt: why"),
        ] {
            assert_eq!(wait_message(reason, "why"), message);
        }
        assert_eq!((sentence("élan vital"), sentence("")), ("Élan vital".to_owned(), String::new()));
    }
}
