//! Figures of the operation: what is called, what waits and why, what came of it.
//!
//! A label is a word from an enum, never an object's name.

use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::{Outcome, Status};

use super::gate::Gate;
use super::roster::Roster;

/// Seconds: from a fast answer to the longest that `--timeout` is set to in practice.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    operation: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Finished {
    kind: &'static str,
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindAndReason {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// The figures; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<Reconciled, Counter>,
    calls: Family<Called, Counter>,
    durations: Family<Operation, Histogram>,
    finished: Family<Finished, Counter>,
    waits: Family<KindAndReason, Counter>,
    undecodable: Family<Kind, Counter>,
}

impl Metrics {
    /// Registers the figures, and those that `roster` and `gate` tell when they are asked.
    pub fn new(registry: &mut Registry, roster: Roster, gate: Gate) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            calls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            finished: Family::default(),
            waits: Family::default(),
            undecodable: Family::default(),
        };
        let operator = registry.sub_registry_with_prefix("cde_operator");
        operator.register("reconciles", "Passes over objects", metrics.reconciles.clone());
        operator.register("requests_finished", "Requests that were finished", metrics.finished.clone());
        operator.register("waits", "Waits that began, by what they are for", metrics.waits.clone());
        operator.register(
            "undecodable_objects",
            "Objects that were left alone because they cannot be decoded",
            metrics.undecodable.clone(),
        );
        registry.register(
            "cde_api_requests",
            "Calls to the CDE API; code 0 where no answer came",
            metrics.calls.clone(),
        );
        registry.register(
            "cde_api_request_duration_seconds",
            "How long calls to the CDE API took",
            metrics.durations.clone(),
        );
        registry.register_collector(Box::new(Standing { roster, gate }));
        metrics
    }

    /// A pass ended: `waiting`, or `interrupted`.
    pub fn reconciled(&self, kind: &'static str, result: &'static str) {
        self.reconciles.get_or_create(&Reconciled { kind, result }).inc();
    }

    /// A call to the CDE API ended.
    pub fn called(&self, operation: &'static str, code: Option<u16>, took: Duration) {
        let code = code.unwrap_or_default().to_string();
        self.calls.get_or_create(&Called { operation, code }).inc();
        self.durations.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    /// A status was stored that follows one with the outcome `before`.
    pub fn stored<R>(&self, kind: &'static str, before: Option<Outcome>, status: &Status<R>) {
        let Some(reason) = status.reason else { return };
        let waits = status.operation.as_ref().is_some_and(|operation| operation.next_attempt_at.is_some());
        match status.outcome {
            Some(outcome) if before != Some(outcome) => {
                let (outcome, reason) = (outcome.as_str(), reason.as_str());
                self.finished.get_or_create(&Finished { kind, outcome, reason }).inc();
            }
            None if waits => {
                self.waits.get_or_create(&KindAndReason { kind, reason: reason.as_str() }).inc();
            }
            _ => {}
        }
    }

    /// An object cannot be decoded.
    pub fn undecodable(&self, kind: &'static str) {
        self.undecodable.get_or_create(&Kind { kind }).inc();
    }
}

/// What stands at the moment of asking.
struct Standing {
    roster: Roster,
    gate: Gate,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Standing")
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let objects = Family::<KindAndReason, prometheus_client::metrics::gauge::Gauge>::default();
        for ((kind, reason), count) in self.roster.census() {
            objects.get_or_create(&KindAndReason { kind, reason }).set(count);
        }
        let help = "Objects that are open or have failed, by the reason of their condition Ready";
        objects.encode(encoder.encode_descriptor(
            "cde_operator_objects",
            help,
            None,
            objects.metric_type(),
        )?)?;
        let others = ConstGauge::new(self.roster.others());
        let help = "Open requests that were claimed for another base address and are left alone";
        others.encode(encoder.encode_descriptor(
            "cde_operator_foreign_objects",
            help,
            None,
            others.metric_type(),
        )?)?;
        let state = self.gate.state();
        let calls = Family::<State, prometheus_client::metrics::gauge::Gauge>::default();
        for word in ["open", "paused", "down", "unauthorized"] {
            calls.get_or_create(&State { state: word }).set(i64::from(word == state));
        }
        let help = "Whether calls to the CDE API go out: 1 for the state that holds";
        calls.encode(encoder.encode_descriptor("cde_operator_calls", help, None, calls.metric_type())?)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}
