//! The contract's table of answers, written down a second time and from the bytes, to compare with.

use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde_json::Value;

/// What an answer to a changing call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The operation was performed.
    Done,
    /// Nobody can tell.
    Open,
    /// It was not performed, and it may be later.
    NotYet,
    /// The token is refused.
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

/// What an answer with this code and this body may be taken for. `confirmed`: it is believed although the CDE does not
/// document it.
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
                // Where that stands beyond what is kept of a message, it is not seen.
                if message.len() < 400 { vec![NotYet] } else { vec![NotYet, Refused] }
            }
            Some(message) if confirmed || is_documented(code, &message) => vec![Refused],
            None | Some(_) => vec![NotYet],
        },
        _ => vec![Open],
    }
}

/// When the headers ask to come back, where they say so clearly: the latest of what is neither past nor absurd.
pub(crate) fn asked_for(headers: &[(String, Vec<u8>)]) -> Option<Timestamp> {
    let now = Timestamp::now();
    let mut all = Vec::new();
    for (name, value) in headers {
        let text = std::str::from_utf8(value).ok()?.trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More than any clock holds: beyond the border.
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
    // Next to a border a second decides; beyond it other rules do.
    let day = SignedDuration::from_hours(24);
    if near(day) || near(SignedDuration::ZERO) || all.iter().any(|at| at.duration_since(now) > day) {
        return None;
    }
    all.into_iter().filter(|at| *at > now).max()
}

/// The message of a body that the CDE itself wrote.
fn spoken(body: &[u8]) -> Option<String> {
    let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
    object.get("message")?.as_str().map(str::to_owned)
}

/// Whether the CDE documents this message for this code.
fn is_documented(code: u16, message: &str) -> bool {
    let said = message.trim().trim_end_matches('.').to_lowercase();
    DOCUMENTED.iter().any(|(its, text)| *its == code && text.to_lowercase() == said)
}

/// JSON with something in it, such as a number beyond all types, that spoils nothing where it is not read.
fn is_lenient_json(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_err() && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}
