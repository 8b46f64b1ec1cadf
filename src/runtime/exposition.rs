//! The figures as text, in the format that is asked for.
//!
//! Prometheus asks for `OpenMetrics` and gets it. Who asks for nothing (a person with curl, `promtool check metrics`)
//! gets the older text format of Prometheus, in which a counter carries its `_total` everywhere.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The content type and the text, for a request with this header `Accept`.
///
/// # Errors
/// Where a figure cannot be written down.
pub fn render(registry: &Registry, accept: Option<&str>) -> Result<(&'static str, String), fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        return Ok((OPEN_METRICS, text));
    }
    Ok((PLAIN, plain(&text)?))
}

/// `OpenMetrics` in the words of the older format.
fn plain(open_metrics: &str) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("HELP"), Some(_), said) => help = said.unwrap_or_default(),
                (Some("TYPE"), Some(family), Some(type_)) => {
                    let (name, type_) = match type_ {
                        "counter" => (format!("{family}_total"), "counter"),
                        "info" => (format!("{family}_info"), "gauge"),
                        "unknown" => (family.to_owned(), "untyped"),
                        other => (family.to_owned(), other),
                    };
                    write!(text, "# HELP {name} {help}\n# TYPE {name} {type_}\n")?;
                }
                _ => {}
            }
        } else {
            text += line;
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::info::Info;

    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc();
        registry.register("calls", "Calls that were made", counter);
        registry.register("held", "Calls that wait", Gauge::<i64>::default());
        registry.register("build", "What runs", Info::new([("version", "1.2.3")].to_vec()));
        registry
    }

    #[test]
    fn who_asks_for_nothing_gets_text_in_which_a_counter_is_a_total_everywhere() {
        for accept in [None, Some("*/*"), Some("text/plain")] {
            let (type_, text) = render(&registry(), accept).unwrap();
            assert_eq!(type_, PLAIN);
            assert_eq!(
                text,
                "# HELP calls_total Calls that were made.\n# TYPE calls_total counter\ncalls_total 1\n\
                 # HELP held Calls that wait.\n# TYPE held gauge\nheld 0\n\
                 # HELP build_info What runs.\n# TYPE build_info gauge\nbuild_info{version=\"1.2.3\"} 1\n"
            );
        }
    }

    #[test]
    fn prometheus_gets_open_metrics() {
        let asks = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5";
        let (type_, text) = render(&registry(), Some(asks)).unwrap();
        assert_eq!(type_, OPEN_METRICS);
        assert!(
            text.contains("# TYPE calls counter\ncalls_total 1\n") && text.ends_with("# EOF\n"),
            "{text}"
        );
    }
}
