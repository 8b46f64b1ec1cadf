//! Traces: spans are plain values; one that ends is handed to OpenTelemetry's batch processor and forgotten here.
//!
//! Off unless a collector is configured: nothing is then made, kept or sent. Where they are on, nobody waits for the
//! collector: what its bounded queue does not hold is dropped, and the end of the process waits a bounded time.
//!
//! A trace is named by what it is of, a UUID that whoever works on it knows: so attempts of several processes, before
//! and after a restart, are one trace. Its root is known beforehand, too: its id is the second half of the name. It is
//! told last, by who finishes the work.

mod collector;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor as _};
use uuid::Uuid;

pub use collector::Collector;
pub use span::Span;

/// Where ended spans go; nowhere by default. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Outbox>>);

/// What takes ended spans.
struct Outbox {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_on() { "Traces(on)" } else { "Traces(off)" })
    }
}

impl Traces {
    /// Traces that go to `collector`, from a process of which `resource` tells. One thread of its own encodes them;
    /// they are sent from this runtime.
    ///
    /// # Errors
    /// A sentence on configuration that cannot be used.
    pub fn to(
        collector: Collector,
        resource: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, String> {
        let mut processor = BatchSpanProcessor::builder(collector.exporter()?).build();
        processor.set_resource(&collector::resource(resource));
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Ok(Self(Some(Arc::new(Outbox { processor, scope }))))
    }

    /// Whether spans are of any use.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// The root of the trace called `trace`, begun at `begun`: for who finishes what it is of.
    #[must_use]
    pub fn root(&self, trace: Uuid, name: &'static str, begun: SystemTime) -> Span {
        let Some(outbox) = &self.0 else { return Span::default() };
        let id = (TraceId::from_bytes(trace.into_bytes()), root_of(trace));
        Span::begin(outbox, id, SpanId::INVALID, SpanKind::Internal, name.into(), begun)
    }

    /// A part of the trace called `trace`, which begins now.
    #[must_use]
    pub fn part(&self, trace: Uuid, name: &'static str) -> Span {
        let Some(outbox) = &self.0 else { return Span::default() };
        let id = (TraceId::from_bytes(trace.into_bytes()), span::draw());
        Span::begin(outbox, id, root_of(trace), SpanKind::Internal, name.into(), SystemTime::now())
    }

    /// Sends what is left, within `limit`.
    pub async fn end(self, limit: Duration) {
        let Some(outbox) = self.0 else { return };
        // The last batch is sent by this very runtime, which must not be blocked meanwhile.
        let shutdown = tokio::task::spawn_blocking(move || outbox.processor.shutdown_with_timeout(limit));
        let _ = tokio::time::timeout(limit, shutdown).await;
    }
}

fn root_of(trace: Uuid) -> SpanId {
    let (_, second_half) = trace.as_u64_pair();
    SpanId::from(second_half)
}
