//! The span of a call, by OpenTelemetry's conventions for HTTP clients, without headers or bodies.

use http::HeaderValue;
use reqwest::Request;
use tracing::Span;
use tracing::field::Empty;

use crate::runtime::telemetry::{TARGET, fail, traceparent};

use super::model::{Failure, FailureKind};

/// Starts the span of a request as a child of the current span, and adds its trace context to the headers. `template` is
/// the path with placeholders.
pub(super) fn begin(request: &mut Request, template: &'static str) -> Span {
    let (method, address) = (request.method(), request.url());
    let span = tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = format!("{method} {template}"),
        otel.kind = "client",
        http.request.method = %method,
        http.response.status_code = Empty,
        url.full = %address,
        url.template = template,
        server.address = address.host_str().unwrap_or_default().trim_matches(['[', ']']),
        server.port = i64::from(address.port_or_known_default().unwrap_or_default()),
    );
    if let Some(value) = traceparent(&span).and_then(|text| HeaderValue::try_from(text).ok()) {
        request.headers_mut().insert("traceparent", value);
    }
    span
}

/// Notes the result of the call.
pub(super) fn end(span: &Span, code: Option<u16>, failure: Option<&Failure>) {
    span.record("http.response.status_code", code.map(i64::from));
    match failure.map(|failure| (failure, failure.kind)) {
        None => {}
        // The code is enough.
        Some((failure, FailureKind::Status { .. })) => fail(span, failure.word(), ""),
        Some((failure, _)) => fail(span, failure.word(), &failure.message),
    }
}
