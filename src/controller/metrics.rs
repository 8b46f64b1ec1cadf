//! Metrics of calls, waits and outcomes. Label values come from enums, never from objects.

mod objects;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::{OperationRecord, Outcome, Reason, Status, for_each_kind};
use crate::cde::model::Call;
use crate::operation::Operation as _;
use crate::runtime::watches::Watches;

use super::cache::Cache;
use super::circuit_breaker::CircuitBreaker;
use super::kind::Kind;

use objects::{Objects, ScrapeCollector};

/// Seconds of a call: up to the longest usual `--timeout`.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds of a status write: up to its timeout.
const WRITE_BUCKETS: [f64; 9] = [0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Seconds of a request: up to the default `--deadline`.
const REQUEST_BUCKETS: [f64; 10] = [1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

/// Usual codes of a gateway's refusal.
const UNCONFIRMED: [u16; 4] = [400, 403, 404, 422];

macro_rules! names {
    ($($kind:ident)*) => { [$(crate::api::$kind::KIND),*] };
}
const KINDS: &[&str] = &for_each_kind!(names);

/// The labels of one series: names and values.
type Labels<const N: usize> = [(&'static str, &'static str); N];
/// The code of a response; 0 if there was none.
type Code = [(&'static str, u16); 1];

/// The metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<Labels<2>, Counter>,
    calls: Family<(Labels<1>, Code), Counter>,
    durations: Family<Labels<1>, Histogram>,
    finished: Family<Labels<3>, Counter>,
    requests: Family<Labels<1>, Histogram>,
    writes: Family<Labels<2>, Counter>,
    write_durations: Histogram,
    waits: Family<Labels<2>, Counter>,
    undecodable: Family<Labels<1>, Counter>,
    unconfirmed: Family<Code, Counter>,
    objects: Objects,
}

impl Metrics {
    /// Registers all metrics.
    pub fn new(registry: &mut Registry, breaker: CircuitBreaker, watches: Watches) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            calls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            finished: Family::default(),
            requests: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            writes: Family::default(),
            write_durations: Histogram::new(WRITE_BUCKETS),
            waits: Family::default(),
            undecodable: Family::default(),
            unconfirmed: Family::default(),
            objects: Objects::default(),
        };
        metrics.start_at_zero();
        metrics.register(registry);
        let objects = metrics.objects.clone();
        registry.register_collector(Box::new(ScrapeCollector { objects, breaker, watches }));
        metrics
    }

    /// Adds the objects of a watch to the metrics.
    pub(super) fn count_objects_of<K: Kind>(&self, cache: Arc<Cache<K>>) {
        self.objects.add(cache);
    }

    /// Creates the series that alerts and quantiles use, so that the first event counts as an increase.
    fn start_at_zero(&self) {
        for operation in Call::NAMES {
            drop(self.durations.get_or_create_owned(&[("operation", operation)]));
        }
        for code in UNCONFIRMED {
            self.unconfirmed.get_or_create(&[("code", code)]).inc_by(0);
        }
        for &kind in KINDS {
            drop(self.requests.get_or_create_owned(&[("kind", kind)]));
            self.undecodable.get_or_create(&[("kind", kind)]).inc_by(0);
            for reason in Reason::ALL {
                let outcome = reason.outcome();
                if let Some(outcome @ (Outcome::Failed | Outcome::Unknown)) = outcome {
                    let (outcome, reason) = (outcome.as_str(), reason.as_str());
                    self.finished
                        .get_or_create(&[("kind", kind), ("outcome", outcome), ("reason", reason)])
                        .inc_by(0);
                }
            }
        }
    }

    fn register(&self, registry: &mut Registry) {
        let operator = registry.sub_registry_with_prefix("cde_operator");
        operator.register("reconciles", "Reconciliations by result", self.reconciles.clone());
        operator.register(
            "requests_finished",
            "Finished requests by outcome and reason",
            self.finished.clone(),
        );
        operator.register(
            "request_duration_seconds",
            "Duration of finished requests, from the first status write",
            self.requests.clone(),
        );
        operator.register("waits", "Waits by reason", self.waits.clone());
        operator.register(
            "undecodable_objects",
            "Objects that are ignored because they cannot be decoded",
            self.undecodable.clone(),
        );
        operator.register("status_writes", "Status writes by result", self.writes.clone());
        operator.register(
            "status_write_duration_seconds",
            "Duration of status writes",
            self.write_durations.clone(),
        );
        registry.register(
            "cde_api_requests",
            "Calls to the CDE API by code, which is 0 if there was no response",
            self.calls.clone(),
        );
        registry.register(
            "cde_api_unconfirmed_refusals",
            "Refusals that the CDE API does not document and that may come from a gateway",
            self.unconfirmed.clone(),
        );
        registry.register(
            "cde_api_request_duration_seconds",
            "Duration of calls to the CDE API",
            self.durations.clone(),
        );
    }

    /// Counts a reconciliation: `ok` or `interrupted`.
    pub fn reconciled(&self, kind: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&[("kind", kind), ("result", result)]).inc();
    }

    /// Counts a call to the CDE API.
    pub fn called(&self, operation: &'static str, code: Option<u16>, took: Duration) {
        let code = [("code", code.unwrap_or_default())];
        self.calls.get_or_create(&([("operation", operation)], code)).inc();
        self.durations.get_or_create(&[("operation", operation)]).observe(took.as_secs_f64());
    }

    /// Counts a stored status that follows one with the outcome `before`.
    pub fn stored<R>(&self, kind: &'static str, before: Option<Outcome>, status: &Status<R>) {
        let Some(reason) = status.reason else { return };
        let waits = status.operation.as_ref().is_some_and(|operation| operation.next_attempt_time.is_some());
        match status.outcome {
            Some(outcome) if before != Some(outcome) => {
                let (outcome, reason) = (outcome.as_str(), reason.as_str());
                self.finished
                    .get_or_create(&[("kind", kind), ("outcome", outcome), ("reason", reason)])
                    .inc();
                let is_first = before.is_none();
                if let Some(took) = status.operation.as_ref().and_then(duration).filter(|_| is_first) {
                    self.requests.get_or_create(&[("kind", kind)]).observe(took);
                }
            }
            None if waits => {
                self.waits.get_or_create(&[("kind", kind), ("reason", reason.as_str())]).inc();
            }
            _ => {}
        }
    }

    /// Counts a status write: `stored`, or why it was not.
    pub fn wrote(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.writes.get_or_create(&[("kind", kind), ("result", result)]).inc();
        self.write_durations.observe(took.as_secs_f64());
    }

    /// Counts an undocumented refusal.
    pub fn unconfirmed_refusal(&self, code: u16) {
        self.unconfirmed.get_or_create(&[("code", code)]).inc();
    }

    /// Counts an object that cannot be decoded.
    pub fn undecodable(&self, kind: &'static str) {
        self.undecodable.get_or_create(&[("kind", kind)]).inc();
    }
}

fn duration(operation: &OperationRecord) -> Option<f64> {
    let (started, ended) = (operation.start_time.as_ref()?, operation.completion_time.as_ref()?);
    Some(ended.0.duration_since(started.0).as_secs_f64().max(0.0))
}
