//! When an answer asks to come back: of all that it says the latest time counts, unreadable and past ones
//! count as absent, absurd ones as an hour.

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};

/// Unix time; sent by the same vendor's Platform API.
const RATE_LIMIT_RETRY_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-retry-after");
/// Unix time; sent by the same vendor's Stream API.
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Whoever asks for more than this does not mean it.
const ABSURD: SignedDuration = SignedDuration::from_hours(24);
const INSTEAD_OF_ABSURD: SignedDuration = SignedDuration::from_hours(1);

/// The time before which an answer, `received` then, asks not to be called again.
pub(super) fn retry_at(headers: &HeaderMap, received: Timestamp) -> Option<Timestamp> {
    let values = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let retry_after =
        values(RETRY_AFTER).filter_map(|text| in_seconds(text, received).or_else(|| http_date(text)));
    let unix = values(RATE_LIMIT_RETRY_AFTER).chain(values(RATE_LIMIT_RESET)).filter_map(unix_time);
    retry_after
        .chain(unix)
        .filter(|at| *at > received)
        .map(|at| if at.duration_since(received) > ABSURD { received + INSTEAD_OF_ABSURD } else { at })
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

/// A number of seconds to wait, sent by mistake, is a time in 1970 and so counts as past.
fn unix_time(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from_second(whole_number(text)?).unwrap_or(Timestamp::MAX))
}

/// Digits only; as large as `i64` holds where it is larger.
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use super::*;

    fn received() -> Timestamp {
        "2026-11-08T08:49:07.5Z".parse().unwrap()
    }

    /// Seconds from `received` until the time asked for.
    fn ahead(lines: &[(&'static str, &str)]) -> Option<f64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        retry_at(&headers, received()).map(|at| at.duration_since(received()).as_secs_f64())
    }

    #[test]
    fn each_form_of_each_header_is_read() {
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
    fn what_is_unreadable_or_past_counts_as_absent() {
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
    fn what_is_absurd_counts_as_an_hour() {
        let beyond_u64 = "9".repeat(30);
        for value in ["86401", "18446744073709551615", &beyond_u64, "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(ahead(&[("retry-after", value)]), Some(3600.0), "{value}");
        }
        for value in ["1893456000000", "18446744073709551615", &beyond_u64] {
            assert_eq!(ahead(&[("ratelimit-reset", value)]), Some(3600.0), "{value}");
        }
    }

    #[test]
    fn of_several_the_latest_counts() {
        let unix = (received().as_second() + 60).to_string();
        assert_eq!(ahead(&[("retry-after", "10"), ("retry-after", "20")]), Some(20.0));
        assert_eq!(ahead(&[("retry-after", "10"), ("ratelimit-reset", &unix)]), Some(59.5));
        assert_eq!(ahead(&[("retry-after", "90"), ("x-ratelimit-retry-after", &unix)]), Some(90.0));
        assert_eq!(ahead(&[("retry-after", "soon"), ("retry-after", "20")]), Some(20.0));
        assert_eq!(ahead(&[("retry-after", "7200"), ("ratelimit-reset", "99999999999")]), Some(7200.0));
    }
}
