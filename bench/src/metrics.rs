//! The metrics that an operator serves under `/metrics`, as numbers.

use anyhow::Result;
use cde_sandbox::operator::Operator;

use crate::statistics::count;

/// The metrics at one moment.
pub(crate) struct Metrics(String);

impl Metrics {
    /// Reads the operator's current metrics.
    ///
    /// # Errors
    /// If it does not respond.
    pub(crate) async fn of(operator: &Operator) -> Result<Self> {
        Ok(Self(operator.metrics().await?))
    }

    /// Returns the number of calls to the CDE API, with or without a response.
    pub(crate) fn calls(&self) -> f64 {
        self.sum("cde_api_requests_total")
    }

    /// Returns the seconds that all calls to the CDE API took together.
    pub(crate) fn call_seconds(&self) -> f64 {
        self.sum("cde_api_request_duration_seconds_sum")
    }

    /// Returns the seconds that a status write took on average.
    pub(crate) fn write_seconds(&self) -> f64 {
        let name = "cde_operator_status_write_duration_seconds";
        self.sum(&format!("{name}_sum")) / self.sum(&format!("{name}_count"))
    }

    /// Returns the number of finished requests, whatever their outcome.
    pub(crate) fn finished(&self) -> f64 {
        self.sum("cde_operator_requests_finished_total")
    }

    /// Returns the number of tasks of the async runtime.
    pub(crate) fn tasks(&self) -> f64 {
        self.sum("cde_operator_process_tasks")
    }

    /// Returns the number of time series: each set of labels is one.
    pub(crate) fn series(&self) -> f64 {
        count(self.samples().count())
    }

    /// Returns the sum of a metric over its labels.
    fn sum(&self, metric: &str) -> f64 {
        let meant = self.samples().filter(|(name, _)| name.split('{').next() == Some(metric));
        meant.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    fn samples(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_comments_are_no_values() {
        let metrics = Metrics(
            "# TYPE cde_api_requests counter\n\
             cde_api_requests_total{operation=\"read\",code=\"200\"} 2\n\
             cde_api_requests_total{operation=\"restore\",code=\"200\"} 3\n\
             cde_api_requests_total_more 7\n# EOF\n"
                .to_owned(),
        );
        assert!((metrics.calls() - 5.0).abs() < 1e-9 && metrics.finished().abs() < 1e-9);
        assert!((metrics.series() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn writes_have_an_average_duration_and_calls_a_total() {
        let metrics = Metrics(
            "cde_operator_status_write_duration_seconds_sum 0.5\n\
             cde_operator_status_write_duration_seconds_count 4\n\
             cde_operator_status_write_duration_seconds_bucket{le=\"0.1\"} 2\n\
             cde_api_request_duration_seconds_sum{operation=\"read\"} 1.5\n\
             cde_api_request_duration_seconds_sum{operation=\"restore\"} 2.5\n"
                .to_owned(),
        );
        assert!((metrics.write_seconds() - 0.125).abs() < 1e-9);
        assert!((metrics.call_seconds() - 4.0).abs() < 1e-9);
    }
}
