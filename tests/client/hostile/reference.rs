//! The documented classification of responses, implemented a second time from the bytes, to compare with.

use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The meaning of a response to a changing call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The operation was performed.
    Done,
    /// The effect is unknown.
    Open,
    /// It was not performed, and may be performed later.
    NotYet,
    /// The token was rejected.
    Token,
    /// It was not performed, and will not be.
    Refused,
}

/// The refusals that the CDE documents.
const DOCUMENTED: [(u16, &str); 5] = [
    (400, "Operation is only allowed for connectors that were previously synchronized to production"),
    (400, "Connector is actively used on the platform"),
    (403, "Access denied for user"),
    (404, "Connector not found"),
    (404, "Connector does not have specified version"),
];

/// Returns the possible meanings of a response with this code and body. `confirmed`: it counts as final although the
/// CDE does not document it.
pub(crate) fn meanings(code: u16, body: &[u8], confirmed: bool) -> Vec<Meaning> {
    use Meaning::{Done, NotYet, Open, Refused, Token};
    match code {
        200..=299 => match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(object)) if object.get("data").is_some_and(Value::is_object) => vec![Done],
            Err(_) if is_lenient_json(body) => vec![Done, Open],
            _ => vec![Open],
        },
        401 => vec![Token],
        423 | 425 | 429 => vec![NotYet],
        408 | 409 => vec![Open],
        400..=499 => match spoken(body) {
            None if is_lenient_json(body) => vec![NotYet, Refused],
            Some(message) if code == 400 && message.contains("Transition is not allowed") => {
                // Beyond the part of a message that is kept, this text is not seen.
                if message.len() < 400 { vec![NotYet] } else { vec![NotYet, Refused] }
            }
            Some(message) if confirmed || is_documented(code, &message) => vec![Refused],
            None | Some(_) => vec![NotYet],
        },
        _ => vec![Open],
    }
}

/// Returns when the headers ask to come back, if they do so clearly: the latest time that is neither past nor absurd.
pub(crate) fn asked_for(headers: &[(String, Vec<u8>)]) -> Option<Timestamp> {
    let now = Timestamp::now();
    let mut all = Vec::new();
    for (name, value) in headers {
        let text = std::str::from_utf8(value).ok()?.trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More than any clock holds, so beyond the limit.
        let number = if digits { Some(text.parse::<i64>().ok()?) } else { None };
        match name.to_ascii_lowercase().as_str() {
            "retry-after" => {
                all.extend(number.and_then(|it| now.checked_add(SignedDuration::from_secs(it)).ok()));
                all.extend(
                    httpdate::parse_http_date(text).ok().and_then(|date| Timestamp::try_from(date).ok()),
                );
            }
            "x-ratelimit-retry-after" | "ratelimit-reset" => {
                all.extend(number.and_then(|second| Timestamp::from_second(second).ok()));
            }
            _ => {}
        }
    }
    let margin = SignedDuration::from_secs(60);
    let near = |border: SignedDuration| all.iter().any(|at| (at.duration_since(now) - border).abs() < margin);
    // Near a limit a second decides, and beyond the limit other rules apply.
    let day = SignedDuration::from_hours(24);
    if near(day) || near(SignedDuration::ZERO) || all.iter().any(|at| at.duration_since(now) > day) {
        return None;
    }
    all.into_iter().filter(|at| *at > now).max()
}

/// Returns the message of a body that the CDE itself wrote.
fn spoken(body: &[u8]) -> Option<String> {
    let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
    object.get("message")?.as_str().map(str::to_owned)
}

/// Returns whether the CDE documents this message for this code.
fn is_documented(code: u16, message: &str) -> bool {
    let said = message.trim().trim_end_matches('.').to_lowercase();
    DOCUMENTED.iter().any(|(its, text)| *its == code && text.to_lowercase() == said)
}

/// Returns whether this is JSON, possibly with a value such as a number beyond all types, which does no harm where it
/// is not read.
fn is_lenient_json(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_err() && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}
