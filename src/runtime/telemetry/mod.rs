//! Logs, and traces of requests.
//!
//! A trace shows all attempts of one request, by all processes. Its ID is the request's UUID, which also determines the ID
//! of the root span: every process knows the parent of its [`step`]s, and the process that finishes the request reports
//! the [`root`]. A step is a `tracing` span with the target [`TARGET`]. Only such spans are exported, and log lines do not
//! show them. Without a collector they are disabled and cost nothing.

mod json;
mod otlp;

use std::cell::Cell;
use std::env;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, SystemTime};

use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

use json::JsonLine;
pub use otlp::Collector;

/// The target of the spans that are exported.
pub const TARGET: &str = "cde_operator::trace";
/// The name of the instrumentation scope.
const SCOPE: &str = env!("CARGO_PKG_NAME");

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text, colored on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The minimum level of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Errors that a person must look at.
    Error,
    /// Also problems that may need a person.
    Warn,
    /// Also what the operator does.
    #[default]
    Info,
    /// Also details.
    Debug,
    /// Also everything from the libraries.
    Trace,
}

impl LogLevel {
    /// Returns the default filter, which hides the spans and retries of the libraries.
    fn filter(self) -> Targets {
        let level = match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => return Targets::new().with_default(LevelFilter::TRACE),
        };
        let quiet = level.min(LevelFilter::WARN);
        Targets::new()
            .with_default(level.min(LevelFilter::INFO))
            .with_target("cde_operator", level)
            .with_targets([("kube_runtime", quiet), ("kube_client", quiet)])
    }
}

/// Starts to log to stderr and to export spans through `traces`.
///
/// # Errors
/// If `RUST_LOG` is invalid.
pub fn start(format: LogFormat, level: LogLevel, traces: Option<&SdkTracerProvider>) -> Result<(), String> {
    let filter = match env::var("RUST_LOG") {
        Ok(directives) => directives.parse().map_err(|error| {
            format!("RUST_LOG={directives} is invalid ({error}); write for example RUST_LOG=info,cde_operator=debug")
        })?,
        Err(_) => level.filter(),
    };
    let lines = layer().with_writer(stderr);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.event_format(JsonLine::new()).fmt_fields(JsonFields::new()).boxed(),
    };
    let filter = filter.with_target(TARGET, LevelFilter::OFF);
    let Some(provider) = traces else {
        // A filter for all layers is cheaper than that of one layer, which is evaluated whenever a span is entered.
        tracing_subscriber::registry().with(lines).with(filter).init();
        return Ok(());
    };
    global::set_tracer_provider(provider.clone());
    let exported = OpenTelemetryLayer::new(provider.tracer(SCOPE))
        .with_context_activation(false)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(exported).init();
    Ok(())
}

/// Starts a step of the request `trace`, as a child of the request's root span.
///
/// Run the step with [`tracing::Instrument`], so that its calls become its children. It ends when it is last polled.
/// `attributes` is called only if spans are exported.
#[must_use]
pub fn step(trace: Uuid, name: &str, attributes: impl FnOnce() -> Vec<KeyValue>) -> Span {
    let span = tracing::info_span!(target: TARGET, parent: None, "step", otel.name = name);
    if span.is_disabled() {
        return span;
    }
    let root = SpanContext::new(
        TraceId::from_bytes(trace.into_bytes()),
        root_id(trace),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    // It fails only if spans are not exported.
    let _ = span.set_parent(Context::new().with_remote_span_context(root));
    for KeyValue { key, value, .. } in attributes() {
        span.set_attribute(key, value);
    }
    span
}

/// Starts the root span of the request `trace` at the time `started`. It ends when it is dropped. `attributes` is called
/// only if spans are exported; `None` if they are not.
#[must_use]
pub fn root(
    trace: Uuid,
    name: &'static str,
    started: SystemTime,
    attributes: impl FnOnce() -> Vec<KeyValue>,
) -> Option<BoxedSpan> {
    if !tracing::enabled!(target: TARGET, Level::INFO) {
        return None;
    }
    let tracer = global::tracer(SCOPE);
    let span = tracer.span_builder(name).with_start_time(started).with_attributes(attributes());
    NEXT_ROOT.set(Some(trace));
    let span = span.start_with_context(&tracer, &Context::new());
    NEXT_ROOT.set(None);
    Some(span)
}

/// Marks `span` as failed. `kind` has few values; `message` is a sentence or empty.
pub fn fail(span: &Span, kind: impl Into<String>, message: &str) {
    span.set_attribute("error.type", kind.into());
    span.set_status(Status::error(message.to_owned()));
}

/// Returns the header that propagates the trace (W3C Trace Context); `None` without a trace.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| format!("00-{}-{}-01", context.trace_id(), context.span_id()))
}

/// Exports the last spans, within `limit`.
pub async fn flush(traces: SdkTracerProvider, limit: Duration) {
    // This runtime sends the last batch, so it must not be blocked.
    let shutdown = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(limit));
    let _ = tokio::time::timeout(limit, shutdown).await;
}

/// The second half of the request's UUID.
fn root_id(trace: Uuid) -> SpanId {
    SpanId::from(trace.as_u64_pair().1)
}

thread_local! {
    /// The request whose root span is being started. The SDK takes IDs only from its generator.
    static NEXT_ROOT: Cell<Option<Uuid>> = const { Cell::new(None) };
}

/// Generates random IDs, except for root spans of requests.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT_ROOT.get().map_or_else(|| self.0.new_trace_id(), |trace| TraceId::from_bytes(trace.into_bytes()))
    }

    fn new_span_id(&self) -> SpanId {
        NEXT_ROOT.get().map_or_else(|| self.0.new_span_id(), root_id)
    }
}
