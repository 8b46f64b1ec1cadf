//! JSON log lines with the fields of their spans at the top level, where tools for logs look for them: Loki's parser, for
//! example, skips lists.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Formats an event as one JSON object. A field of the event hides one of the same name in a span, and an outer span hides
/// an inner one, so that no name occurs twice. Needs [`JsonFields`](format::JsonFields).
pub(super) struct JsonLine(Format<Json, SystemTime>);

impl JsonLine {
    pub(super) fn new() -> Self {
        Self(format().json().flatten_event(true).with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let mut names: BTreeMap<String, IgnoredAny> = serde_json::from_str(&line).map_err(|_| fmt::Error)?;
        writer.write_str(line.trim_end().strip_suffix('}').ok_or(fmt::Error)?)?;
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<N>>() else { continue };
            let fields: Map<String, Value> = serde_json::from_str(fields).unwrap_or_default();
            for (name, value) in fields {
                if names.insert(name.clone(), IgnoredAny).is_none() {
                    write!(writer, ",{}:{value}", Value::from(name))?;
                }
            }
        }
        writer.write_str("}\n")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines that `work` logs, without their times.
    fn logged(work: impl FnOnce()) -> Vec<String> {
        let log = Log::default();
        let writer = log.clone();
        let lines = layer()
            .event_format(JsonLine::new())
            .fmt_fields(JsonFields::new())
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        let without_time = |line: &str| {
            let (start, rest) = line.split_once("\",").unwrap();
            assert!(start.starts_with(r#"{"timestamp":"20"#), "{line}");
            format!("{{{rest}")
        };
        text.lines().map(without_time).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_at_the_top_level() {
        let lines = logged(|| {
            let outer =
                tracing::info_span!("outer", kind = "K", name = %"a\"b", absent = tracing::field::Empty);
            let _outer = outer.enter();
            let _inner = tracing::info_span!("inner", attempt = 2).entered();
            tracing::info!(reason = "R", "done");
        });
        let target = module_path!();
        assert_eq!(
            lines,
            [format!(
                r#"{{"level":"INFO","message":"done","reason":"R","target":"{target}","kind":"K","name":"a\"b","attempt":2}}"#
            )]
        );
    }

    #[test]
    fn no_name_occurs_twice_in_a_line() {
        let lines = logged(|| {
            let _outer = tracing::info_span!("outer", name = "object", code = 1).entered();
            let _inner = tracing::info_span!("inner", name = "library", level = "none").entered();
            tracing::warn!(code = 2, "said");
        });
        for name in ["name", "code", "level"] {
            assert_eq!(lines[0].matches(&format!("\"{name}\":")).count(), 1, "{lines:?}");
        }
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["name"], &line["code"]), (&json!("object"), &json!(2)));
        assert_eq!(line["level"], "WARN");
    }

    #[test]
    fn a_line_outside_of_spans_has_its_own_fields_only() {
        let lines = logged(|| tracing::info!("alone"));
        assert_eq!(lines, [format!(r#"{{"level":"INFO","message":"alone","target":"{}"}}"#, module_path!())]);
    }
}
