//! What an operator says of itself under `/metrics`, as numbers.

use cde_harness::Operator;

/// The figures of one moment.
pub(crate) struct Figures(String);

impl Figures {
    pub(crate) async fn of(operator: &mut Operator) -> Self {
        Self(operator.probe("/metrics").await.expect("the figures").1)
    }

    /// The sum of a metric over its labels.
    pub(crate) fn sum(&self, metric: &str) -> f64 {
        let is_meant = |name: &str| name.split('{').next() == Some(metric);
        let samples = self.0.lines().filter_map(|line| line.rsplit_once(' '));
        samples.filter(|(name, _)| is_meant(name)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// Calls to the CDE API, answered or not.
    pub(crate) fn calls(&self) -> f64 {
        self.sum("cde_api_requests_total")
    }

    pub(crate) fn reconciles(&self) -> f64 {
        self.sum("cde_operator_reconciles_total")
    }

    /// Resident memory, in MB.
    pub(crate) fn memory(&self) -> f64 {
        self.sum("cde_operator_process_resident_memory_bytes") / 1e6
    }
}
