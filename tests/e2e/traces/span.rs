//! A span as a collector receives it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as Sent, span::SpanKind};

/// Attributes as text.
pub(crate) type Attributes = BTreeMap<String, String>;

/// One span.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    /// Whether it is a call to another service.
    pub(crate) client: bool,
    /// Start and end in nanoseconds since 1970.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: Attributes,
    /// The description of its status, if the status is an error.
    pub(crate) error: Option<String>,
    /// The resource: attributes of the process that sent it.
    pub(crate) resource: Attributes,
}

/// Returns the spans of a batch.
pub(crate) fn spans(batch: ExportTraceServiceRequest) -> Vec<Span> {
    let mut all = Vec::new();
    for group in batch.resource_spans {
        let resource = attributes(&group.resource.expect("a resource").attributes);
        for spans in group.scope_spans {
            assert_eq!(spans.scope.expect("a scope").name, "cde-operator");
            all.extend(spans.spans.into_iter().map(|sent| span(sent, &resource)));
        }
    }
    all
}

fn span(sent: Sent, resource: &Attributes) -> Span {
    let error = sent.status.filter(|status| status.code() == StatusCode::Error).map(|status| status.message);
    Span {
        trace: hex(&sent.trace_id),
        id: hex(&sent.span_id),
        parent: hex(&sent.parent_span_id),
        client: sent.kind == SpanKind::Client as i32,
        begun: sent.start_time_unix_nano,
        ended: sent.end_time_unix_nano,
        attributes: attributes(&sent.attributes),
        name: sent.name,
        error,
        resource: resource.clone(),
    }
}

fn attributes(attributes: &[KeyValue]) -> Attributes {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("an attribute of another type: {other:?}"),
    };
    let attributes: Attributes = attributes
        .iter()
        .map(|one| {
            let value = one.value.as_ref().and_then(|value| value.value.as_ref());
            (one.key.clone(), text(value.expect("a value")))
        })
        .collect();
    assert_eq!(attributes.len(), attributes.len(), "a duplicate attribute: {attributes:?}");
    attributes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Returns the header that passes the span on to the called service.
    pub(crate) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}
