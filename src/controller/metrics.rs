//! Metrics of the operation: what is called, what waits and why, and how requests end.
//!
//! A label is a word from an enum, never an object's name.

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

use objects::{Objects, Present};

/// Seconds: from a fast answer to the longest that `--timeout` is set to in practice.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds: of a status write, which ends by 30 s.
const WRITE_BUCKETS: [f64; 9] = [0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Seconds: of a whole request, whose times have whole seconds; to the default of `--deadline`.
const REQUEST_BUCKETS: [f64; 10] = [1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

/// The usual codes of a gateway's refusal.
const UNCONFIRMED: [u16; 4] = [400, 403, 404, 422];

macro_rules! names {
    ($($kind:ident)*) => { [$(crate::api::$kind::KIND),*] };
}
/// The kinds, as they are in labels.
const KINDS: &[&str] = &for_each_kind!(names);

/// The labels of one series: a name each, and a word from an enum.
type Labels<const N: usize> = [(&'static str, &'static str); N];
/// The label of a response; 0 where there is none.
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
    /// Registers the metrics, and those that are computed when they are scraped.
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
        registry.register_collector(Box::new(Present { objects, breaker, watches }));
        metrics
    }

    /// Counts the objects of this watch when metrics are scraped.
    pub(super) fn count_objects_of<K: Kind>(&self, cache: Arc<Cache<K>>) {
        self.objects.add(cache);
    }

    /// What alerts and quantiles count is there before it happens: the first one is seen as an increase.
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
        operator.register("reconciles", "Passes over objects", self.reconciles.clone());
        operator.register("requests_finished", "Requests that were finished", self.finished.clone());
        operator.register(
            "request_duration_seconds",
            "How long requests took that were finished, from the first status write of each",
            self.requests.clone(),
        );
        operator.register("waits", "Waits that began, by what they are for", self.waits.clone());
        operator.register(
            "undecodable_objects",
            "Objects that were left alone because they cannot be decoded",
            self.undecodable.clone(),
        );
        operator.register(
            "status_writes",
            "Writes of a status to the API server, by what came of them",
            self.writes.clone(),
        );
        operator.register(
            "status_write_duration_seconds",
            "How long writes of a status to the API server took",
            self.write_durations.clone(),
        );
        registry.register(
            "cde_api_requests",
            "Calls to the CDE API; code 0 where no answer came",
            self.calls.clone(),
        );
        registry.register(
            "cde_api_unconfirmed_refusals",
            "Refusals that the CDE API does not document: a gateway may have answered",
            self.unconfirmed.clone(),
        );
        registry.register(
            "cde_api_request_duration_seconds",
            "How long calls to the CDE API took",
            self.durations.clone(),
        );
    }

    /// A reconciliation ended: `ok`, or `interrupted`.
    pub fn reconciled(&self, kind: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&[("kind", kind), ("result", result)]).inc();
    }

    /// A call to the CDE API ended.
    pub fn called(&self, operation: &'static str, code: Option<u16>, took: Duration) {
        let code = [("code", code.unwrap_or_default())];
        self.calls.get_or_create(&([("operation", operation)], code)).inc();
        self.durations.get_or_create(&[("operation", operation)]).observe(took.as_secs_f64());
    }

    /// A status was stored that follows one with the outcome `before`.
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

    /// A status was sent to the API server: `stored`, or what came of it instead.
    pub fn wrote(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.writes.get_or_create(&[("kind", kind), ("result", result)]).inc();
        self.write_durations.observe(took.as_secs_f64());
    }

    /// A call was refused in a way that the CDE API does not document.
    pub fn unconfirmed_refusal(&self, code: u16) {
        self.unconfirmed.get_or_create(&[("code", code)]).inc();
    }

    /// An object cannot be decoded.
    pub fn undecodable(&self, kind: &'static str) {
        self.undecodable.get_or_create(&[("kind", kind)]).inc();
    }
}

/// Seconds from the first status write of a request to its end.
fn duration(operation: &OperationRecord) -> Option<f64> {
    let (begun, ended) = (operation.start_time.as_ref()?, operation.completion_time.as_ref()?);
    Some(ended.0.duration_since(begun.0).as_secs_f64().max(0.0))
}
