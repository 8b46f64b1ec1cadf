//! A call as a span, in OpenTelemetry's words for HTTP clients. Neither header nor body stands in it.

use http::HeaderValue;
use reqwest::Request;

use crate::runtime::traces::Span;

use super::model::{Failure, FailureKind};

/// The span of the call that `request` is, as a part of `whole`; the request tells the API of it. `template` is its
/// path with placeholders.
pub(super) fn begin(whole: &Span, request: &mut Request, template: &'static str) -> Span {
    let mut span = whole.asks(|| format!("{} {template}", request.method()));
    if !span.is_on() {
        return span;
    }
    let url = request.url();
    span.set("http.request.method", request.method().to_string());
    span.set("url.full", url.to_string());
    span.set("url.template", template);
    span.set("server.address", url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned());
    span.set("server.port", i64::from(url.port_or_known_default().unwrap_or_default()));
    if let Some(value) = span.traceparent().and_then(|text| HeaderValue::try_from(text).ok()) {
        request.headers_mut().insert("traceparent", value);
    }
    span
}

/// Notes the answer, or why there is none.
pub(super) fn end(mut span: Span, code: Option<u16>, failure: Option<&Failure>) {
    if let Some(code) = code {
        span.set("http.response.status_code", i64::from(code));
    }
    match failure.map(|failure| (failure, failure.kind)) {
        None => {}
        // The code says it all.
        Some((failure, FailureKind::Status { .. })) => span.fail(failure.word(), ""),
        Some((failure, _)) => span.fail(failure.word(), &failure.message),
    }
}
