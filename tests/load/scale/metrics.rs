//! The operator's metrics as numbers.

use cde_harness::Operator;

/// The metrics at one moment.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) async fn of(operator: &mut Operator) -> Self {
        Self(operator.probe("/metrics").await.expect("the metrics").1)
    }

    /// Returns the sum of a metric over its labels.
    pub(crate) fn sum(&self, metric: &str) -> f64 {
        let is_meant = |name: &str| name.split('{').next() == Some(metric);
        let samples = self.0.lines().filter_map(|line| line.rsplit_once(' '));
        samples.filter(|(name, _)| is_meant(name)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// Returns the calls to the CDE API, with and without a response.
    pub(crate) fn calls(&self) -> f64 {
        self.sum("cde_api_requests_total")
    }

    pub(crate) fn reconciles(&self) -> f64 {
        self.sum("cde_operator_reconciles_total")
    }

    /// Returns the resident memory, in MB.
    pub(crate) fn memory(&self) -> f64 {
        self.sum("cde_operator_process_resident_memory_bytes") / 1e6
    }
}
