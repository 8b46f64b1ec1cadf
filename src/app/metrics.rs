//! Metrics of the operator process: version, leadership, CRDs, token, workers and watches.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use tokio::sync::watch;

use crate::controller::Context;
use crate::credential::Credential;
use crate::runtime::metrics::encode;
use crate::runtime::watch_health::WatchHealth;
use crate::runtime::watches::WatchState;

/// Computes metrics at each scrape.
pub(super) struct OperatorMetrics {
    pub(super) context: Arc<Context>,
    pub(super) watch_health: WatchHealth,
    /// Whether the controllers run in this process.
    pub(super) leads: watch::Receiver<bool>,
    /// The name of the Lease, if leader election is on.
    pub(super) lease: Option<String>,
}

impl fmt::Debug for OperatorMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorMetrics")
    }
}

impl Collector for OperatorMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let build = Info::new(vec![("version", crate::VERSION)]);
        encode(&mut encoder, "cde_operator_build", "Version of the operator", &build)?;
        let leads = *self.leads.borrow();
        self.leadership(&mut encoder, leads)?;
        self.prerequisites(&mut encoder)?;
        self.token_file(&mut encoder)?;
        // Without leadership there are no watches.
        if leads { self.watches(&mut encoder) } else { Ok(()) }
    }
}

impl OperatorMetrics {
    fn leadership(&self, encoder: &mut DescriptorEncoder<'_>, leads: bool) -> fmt::Result {
        let (name, leads) = ("cde_operator_leader", i64::from(leads));
        let help = "1 if the controllers run in this process, 0 if it waits for the Lease or has not started";
        let Some(lease) = &self.lease else { return encode(encoder, name, help, &ConstGauge::new(leads)) };
        let leader = Family::<[(&'static str, String); 1], Gauge>::default();
        leader.get_or_create(&[("lease", lease.clone())]).set(leads);
        encode(encoder, name, help, &leader)
    }

    fn prerequisites(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Context { crds, workers, .. } = self.context.as_ref();
        for (name, help, value) in [
            (
                "cde_operator_crds_ready",
                "1 if the CRDs are installed and new enough, 0 otherwise, when no request is claimed",
                i64::from(crds.is_good()),
            ),
            (
                "cde_operator_workers",
                "Maximum number of concurrent reconciliations",
                i64::from(workers.limit()),
            ),
            (
                "cde_operator_workers_busy",
                "Number of reconciliations in progress",
                i64::try_from(workers.busy()).unwrap_or(i64::MAX),
            ),
        ] {
            encode(encoder, name, help, &ConstGauge::new(value))?;
        }
        Ok(())
    }

    /// The login mode has metrics of its own.
    fn token_file(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Credential::File(file) = self.context.credential.as_ref() else { return Ok(()) };
        let (read, usable) = file.condition();
        let help = "1 if the token file has a usable token, 0 otherwise, when the last token stays in use";
        encode(encoder, "cde_operator_token_file_usable", help, &ConstGauge::new(i64::from(usable)))?;
        let help = "Unix time when the token in use was first read";
        let read = ConstGauge::new(read.as_second());
        encode(encoder, "cde_operator_token_read_timestamp_seconds", help, &read)
    }

    fn watches(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let listed = ConstGauge::new(i64::from(self.context.watches.all().iter().all(WatchState::is_listed)));
        let help = "1 if the first lists of all watches are complete, 0 otherwise";
        encode(encoder, "cde_operator_synced", help, &listed)?;
        let silence = ConstGauge::new(self.watch_health.silence().as_secs_f64());
        let help = "Time since the API server last responded to a watch, with any status";
        encode(encoder, "cde_operator_watch_silence_seconds", help, &silence)
    }
}
