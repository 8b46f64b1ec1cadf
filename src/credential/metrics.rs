//! Metrics of the login mode.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::runtime::metrics::encode;

use super::session::Session;

/// The values of the label `result`.
const RESULTS: [&str; 7] =
    ["refreshed", "invalid_grant", "configuration", "limited", "unreachable", "unknown", NOT_STORED];
pub(super) const REFRESHED: &str = "refreshed";
/// The Secret could not be patched.
pub(super) const NOT_STORED: &str = "not_stored";

/// Counts refreshes; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RefreshMetrics(Family<[(&'static str, &'static str); 1], Counter>);

impl RefreshMetrics {
    /// Registers the counter.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // The first event counts as an increase.
        for result in RESULTS {
            metrics.0.get_or_create(&[("result", result)]).inc_by(0);
        }
        let operator = registry.sub_registry_with_prefix("cde_operator");
        let help = "Attempts to refresh the CDE login, by result";
        operator.register("credential_refreshes", help, metrics.0.clone());
        metrics
    }

    pub(super) fn count(&self, result: &'static str) {
        self.0.get_or_create(&[("result", result)]).inc();
    }
}

/// Computes metrics of the session at each scrape.
#[derive(Debug)]
pub struct LoginMetrics(pub Arc<Session>);

impl Collector for LoginMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let required = ConstGauge::new(i64::from(self.0.is_login_required()));
        let help = "1 if a person must log in with `kubectl cde login`, 0 otherwise";
        encode(&mut encoder, "cde_operator_login_required", help, &required)?;
        let (expires, obtained) = self.0.times();
        for (name, help, time) in [
            (
                "cde_operator_credential_expiry_timestamp_seconds",
                "Unix time when the access token in use expires; absent if unknown",
                expires,
            ),
            (
                "cde_operator_credential_refreshed_timestamp_seconds",
                "Unix time when the access token in use was obtained; absent if unknown",
                obtained,
            ),
        ] {
            if let Some(time) = time {
                encode(&mut encoder, name, help, &ConstGauge::new(time.as_second()))?;
            }
        }
        Ok(())
    }
}
