//! Reads from the headers of a response when the next call is allowed. The latest time counts. Unreadable and past values
//! are ignored, and a time more than a day ahead is replaced by an hour after the response.

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};

/// Unix time in seconds; sent by the Platform API of the same vendor.
const RATE_LIMIT_RETRY_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-retry-after");
/// Unix time in seconds; sent by the Stream API of the same vendor.
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A longer wait is treated as a mistake of the sender and replaced by [`FALLBACK_WAIT`].
const MAX_WAIT: SignedDuration = SignedDuration::from_hours(24);
const FALLBACK_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// Returns the time before which a response, received at `received`, asks not to be called again.
pub fn retry_at(headers: &HeaderMap, received: Timestamp) -> Option<Timestamp> {
    let values = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let retry_after =
        values(RETRY_AFTER).filter_map(|text| in_seconds(text, received).or_else(|| http_date(text)));
    let unix = values(RATE_LIMIT_RETRY_AFTER).chain(values(RATE_LIMIT_RESET)).filter_map(unix_time);
    retry_after
        .chain(unix)
        .filter(|at| *at > received)
        .map(|at| if at.duration_since(received) > MAX_WAIT { received + FALLBACK_WAIT } else { at })
        .max()
}

fn in_seconds(text: &str, received: Timestamp) -> Option<Timestamp> {
    let seconds = SignedDuration::from_secs(whole_number(text)?);
    Some(received.checked_add(seconds).unwrap_or(Timestamp::MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(Timestamp::try_from(date).unwrap_or(Timestamp::MAX))
}

/// Parses a Unix time. A number of seconds to wait, sent by mistake, is a time in 1970 and therefore ignored as past.
fn unix_time(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from_second(whole_number(text)?).unwrap_or(Timestamp::MAX))
}

/// Parses a number that consists of digits only; a larger one than `i64` holds becomes `i64::MAX`.
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn received() -> Timestamp {
        "2026-11-08T08:49:07.5Z".parse().unwrap()
    }

    /// Seconds from `received` until the requested time.
    fn ahead(lines: &[(&'static str, &str)]) -> Option<f64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        retry_at(&headers, received()).map(|at| at.duration_since(received()).as_secs_f64())
    }

    #[test]
    fn every_format_of_every_header_is_read() {
        let unix = |seconds: i64| (received().as_second() + seconds).to_string();
        for (name, value, expected) in [
            ("retry-after", "30".to_owned(), Some(30.0)),
            ("retry-after", " 30 ".into(), Some(30.0)),
            ("retry-after", "86400".into(), Some(86400.0)),
            ("retry-after", "Sun, 08 Nov 2026 08:49:37 GMT".into(), Some(29.5)),
            ("retry-after", "Sunday, 08-Nov-26 08:49:37 GMT".into(), Some(29.5)),
            ("retry-after", "Sun Nov  8 08:49:37 2026".into(), Some(29.5)),
            ("x-ratelimit-retry-after", unix(30), Some(29.5)),
            ("ratelimit-reset", unix(30), Some(29.5)),
        ] {
            assert_eq!(ahead(&[(name, &value)]), expected, "{name}: {value}");
        }
    }

    #[test]
    fn unreadable_and_past_times_are_ignored() {
        let garbage = ["", "0", "-1", "+30", "1.5", "30s", "0x1e", "soon", "30, 60", "Sun, 08 Nov"];
        for value in garbage.into_iter().chain(["Sat, 07 Nov 2026 08:49:37 GMT"]) {
            assert_eq!(ahead(&[("retry-after", value)]), None, "{value:?}");
        }
        for value in garbage.into_iter().chain(["30", "3600", "1699999999"]) {
            assert_eq!(ahead(&[("ratelimit-reset", value)]), None, "{value:?}");
            assert_eq!(ahead(&[("x-ratelimit-retry-after", value)]), None, "{value:?}");
        }
        assert_eq!(ahead(&[]), None);
    }

    #[test]
    fn a_time_more_than_a_day_ahead_becomes_an_hour() {
        let beyond_u64 = "9".repeat(30);
        for value in ["86401", "18446744073709551615", &beyond_u64, "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(ahead(&[("retry-after", value)]), Some(3600.0), "{value}");
        }
        for value in ["1893456000000", "18446744073709551615", &beyond_u64] {
            assert_eq!(ahead(&[("ratelimit-reset", value)]), Some(3600.0), "{value}");
        }
    }

    #[test]
    fn the_latest_of_several_times_counts() {
        let unix = (received().as_second() + 60).to_string();
        assert_eq!(ahead(&[("retry-after", "10"), ("retry-after", "20")]), Some(20.0));
        assert_eq!(ahead(&[("retry-after", "10"), ("ratelimit-reset", &unix)]), Some(59.5));
        assert_eq!(ahead(&[("retry-after", "90"), ("x-ratelimit-retry-after", &unix)]), Some(90.0));
        assert_eq!(ahead(&[("retry-after", "soon"), ("retry-after", "20")]), Some(20.0));
        assert_eq!(ahead(&[("retry-after", "7200"), ("ratelimit-reset", "99999999999")]), Some(7200.0));
    }
}
